<?php
// Loads the WordPress of WORDPRESS_ROOT under the address that is the first argument.
$_SERVER['HTTP_HOST'] = parse_url($argv[1], PHP_URL_HOST) . ':' . parse_url($argv[1], PHP_URL_PORT);
$_SERVER['REQUEST_METHOD'] = 'GET';
$_SERVER['REQUEST_URI'] = '/';
require getenv('WORDPRESS_ROOT') . '/wp-load.php';
