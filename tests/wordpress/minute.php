<?php
// Does what WP-Cron does when a minute is over.
require __DIR__ . '/here.php';
wp_unschedule_hook('recommender_send');
wp_schedule_event(time() - 1, 'recommender_minute', 'recommender_send');
require ABSPATH . 'wp-cron.php';
