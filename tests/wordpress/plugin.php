<?php
// Activates, deactivates or uninstalls the plugin, as standard input says; prints the options that are left.
require __DIR__ . '/load.php';
require_once ABSPATH . 'wp-admin/includes/plugin.php';

$plugin = 'recommender/recommender.php';
$action = trim(fgets(STDIN));
if ($action === 'activate') {
    $error = activate_plugin($plugin);
    if (is_wp_error($error)) {
        fwrite(STDERR, $error->get_error_message());
        exit(1);
    }
} else {
    deactivate_plugins($plugin);
}
if ($action === 'uninstall') {
    uninstall_plugin($plugin);
    echo implode("\n", $wpdb->get_col("SELECT option_name FROM $wpdb->options WHERE option_name LIKE '%recommender%'"));
    echo wp_next_scheduled('recommender_send');
}
