<?php
// Makes the cached lists of the plugin older than a minute, and ends the pause after a failed request.
require __DIR__ . '/load.php';
$names = $wpdb->get_col("SELECT option_name FROM $wpdb->options WHERE option_name LIKE '\\_transient\\_recommender\\_list\\_%'");
foreach ($names as $name) {
    update_option($name, ['until' => 0] + get_option($name));
}
delete_transient('recommender_paused');
