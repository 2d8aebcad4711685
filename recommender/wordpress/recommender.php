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

// An older version, which was one file in wp-content/mu-plugins/, may still be there. It would clash.
if (!defined('ABSPATH') || function_exists(__NAMESPACE__ . '\on_status')) {
    return;
}

const PLUGIN_FILE = __FILE__;

require_once __DIR__ . '/sending.php';
require_once __DIR__ . '/settings.php';
require_once __DIR__ . '/lists.php';
