<?php
// Publishes a scheduled post now, as WP-Cron does when it is due. Reads its id from standard input.
require __DIR__ . '/load.php';
$id = (int) fgets(STDIN);
$now = gmdate('Y-m-d H:i:s', time() - 1);
$wpdb->update($wpdb->posts, ['post_date_gmt' => $now, 'post_date' => get_date_from_gmt($now)], ['ID' => $id]);
clean_post_cache($id);
check_and_publish_future_post($id);
