<?php
// Activates or deactivates the plugin, as standard input says.
require __DIR__ . '/load.php';
require_once ABSPATH . 'wp-admin/includes/plugin.php';

$plugin = 'recommender/recommender.php';
if (trim(fgets(STDIN)) === 'activate') {
    $error = activate_plugin($plugin);
    if (is_wp_error($error)) {
        fwrite(STDERR, $error->get_error_message());
        exit(1);
    }
} else {
    deactivate_plugins($plugin);
}
