<?php
// Installs WordPress into an empty database; prints an application password for the editor.
define('WP_INSTALLING', true);
require __DIR__ . '/load.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';

wp_install('The Courier', 'editor', 'editor@courier.example', true, '', 'a password of the tests');
update_option('siteurl', $argv[1]);
update_option('home', $argv[1]);
update_option('timezone_string', 'America/New_York'); // so that a mix-up of local time and GMT fails a test
$GLOBALS['wp_rewrite']->set_permalink_structure('/%postname%/');
flush_rewrite_rules();
switch_theme('plain');
foreach (get_posts(['numberposts' => -1, 'post_type' => ['post', 'page']]) as $post) {
    wp_delete_post($post->ID, true);
}
echo WP_Application_Passwords::create_new_application_password(1, ['name' => 'tests'])[0], "\n";
