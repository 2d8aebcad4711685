<?php
/**
 * Plugin Name: Recommender
 * Description: Sends every published, edited or unpublished post to the recommender, and shows its lists.
 * Version: 1.0
 * Requires at least: 5.9
 * Requires PHP: 7.3
 * License: MIT
 * Text Domain: recommender
 * Domain Path: /languages
 *
 * Copy this folder to wp-content/plugins/recommender/ and activate the plugin. Its settings are on the page
 * Settings → Recommender, or in wp-config.php, whose values win:
 *
 *     define('RECOMMENDER_URL', 'http://127.0.0.1:8000');
 *     define('RECOMMENDER_KEY', '…');
 *     define('RECOMMENDER_ID_PREFIX', '');         // only if several sites share a service
 *     define('RECOMMENDER_POST_TYPES', 'post');    // separate several types by commas
 */

namespace Recommender;

if (!defined('ABSPATH')) {
    exit;
}
if (function_exists(__NAMESPACE__ . '\on_status')) { // of the older version, which was one file
    add_action('admin_notices', function () {
        $text = __('Recommender: delete the older version, wp-content/mu-plugins/recommender.php.', 'recommender');
        echo '<div class="notice notice-error"><p>' . esc_html($text) . '</p></div>';
    });
    return;
}

const PLUGIN_FILE = __FILE__;

require_once __DIR__ . '/sending.php';
require_once __DIR__ . '/settings.php';
require_once __DIR__ . '/lists.php';
