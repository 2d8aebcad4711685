<?php
// Loads the WordPress in WORDPRESS_ROOT, with the site URL from the first argument.
$_SERVER['HTTP_HOST'] = parse_url($argv[1], PHP_URL_HOST) . ':' . parse_url($argv[1], PHP_URL_PORT);
$_SERVER['REQUEST_METHOD'] = 'GET';
$_SERVER['REQUEST_URI'] = '/';
require getenv('WORDPRESS_ROOT') . '/wp-load.php';
