<?php
// WordPress runs this file when the plugin is deleted: its settings, its key and its queue go, too.
if (!defined('WP_UNINSTALL_PLUGIN')) {
    exit;
}
global $wpdb;
$patterns = ['recommender_', '_transient_recommender_', '_transient_timeout_recommender_'];
foreach ($patterns as $pattern) {
    $like = $wpdb->esc_like($pattern) . '%';
    $wpdb->query($wpdb->prepare("DELETE FROM $wpdb->options WHERE option_name LIKE %s", $like));
}
wp_cache_flush();
