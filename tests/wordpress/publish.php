<?php
// Publishes a scheduled post, whose id is on standard input, as WP-Cron does on its day: that day is now.
require __DIR__ . '/here.php';
$id = (int) fgets(STDIN);
$now = gmdate('Y-m-d H:i:s', time() - 1);
$wpdb->update($wpdb->posts, ['post_date_gmt' => $now, 'post_date' => get_date_from_gmt($now)], ['ID' => $id]);
clean_post_cache($id);
check_and_publish_future_post($id);
