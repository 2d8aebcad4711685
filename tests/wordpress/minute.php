<?php
// Runs the scheduled tasks as WP-Cron does after a minute.
require __DIR__ . '/load.php';
wp_unschedule_hook('recommender_send');
wp_schedule_event(time() - 1, 'recommender_minute', 'recommender_send');
require ABSPATH . 'wp-cron.php';
