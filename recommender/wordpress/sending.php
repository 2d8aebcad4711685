<?php
/**
 * Sends changed posts to the service.
 *
 * The plugin stores one row in the options table for each changed post: the queue. After WordPress has sent its
 * response to the editor, the plugin sends the current state of all queued posts. Posts that cannot be sent stay
 * queued, and WP-Cron tries again every minute.
 */

namespace Recommender;

if (!defined('ABSPATH')) {
    exit;
}

const OPTION_PREFIX = 'recommender_changed_'; // of the option name, followed by the post id
const LAST_ERROR = 'recommender_last_error'; // option: the time and text of the last failure to send a post
const UNDATED = 'undated '; // prefix of the option value: the change did not update the post's modified date
const MAX_SECONDS = 20; // of sending; the rest is sent in the next minute
const TIMEOUT = 5; // seconds, for one post
const SETTLED = 0; // the post was accepted, or permanently rejected
const FAILED = 1; // try again later; continue with the other posts
const STOPPED = 2; // try again later; the other posts would fail too

add_action('transition_post_status', __NAMESPACE__ . '\on_status', 10, 3);
add_action('wp_after_insert_post', __NAMESPACE__ . '\on_save', 10, 2);
add_action('deleted_post', __NAMESPACE__ . '\on_delete', 10, 2);
add_action('set_object_terms', __NAMESPACE__ . '\on_part');
add_action('edited_term', __NAMESPACE__ . '\on_term', 10, 2);
add_action('pre_delete_term', __NAMESPACE__ . '\on_delete_term', 10, 2);
add_action('profile_update', __NAMESPACE__ . '\on_author', 10, 2);
add_action('added_post_meta', __NAMESPACE__ . '\on_meta', 10, 3);
add_action('updated_post_meta', __NAMESPACE__ . '\on_meta', 10, 3);
add_action('deleted_post_meta', __NAMESPACE__ . '\on_meta', 10, 3);
add_action('recommender_send', __NAMESPACE__ . '\send_queued');
add_action('init', __NAMESPACE__ . '\schedule');
add_filter('cron_schedules', __NAMESPACE__ . '\every_minute');
register_deactivation_hook(PLUGIN_FILE, __NAMESPACE__ . '\unschedule');

/** Queue a post that is published or unpublished. */
function on_status($new, $old, $post)
{
    if ($new === 'publish' || $old === 'publish') {
        enqueue($post);
    }
}

function on_save($id, $post)
{
    if ($post->post_status === 'publish') {
        enqueue($post);
    }
}

function on_delete($id, $post)
{
    if ($post->post_status === 'publish') { // a post in the trash was unpublished before
        enqueue($post);
    }
}

/** Queue a published post whose terms, featured image or primary category change. */
function on_part($id)
{
    $post = get_post($id);
    if ($post && $post->post_status === 'publish') {
        enqueue($post, UNDATED);
    }
}

function on_meta($meta_id, $id, $key)
{
    if ($key === '_thumbnail_id' || $key === '_yoast_wpseo_primary_category') {
        on_part($id);
    }
}

/** Queue all posts of a category or tag that was renamed. */
function on_term($term_id, $taxonomy_id)
{
    global $wpdb;
    enqueue_all("ID IN (SELECT object_id FROM $wpdb->term_relationships WHERE term_taxonomy_id = %d)", $taxonomy_id);
}

function on_delete_term($term_id, $taxonomy)
{
    $term = get_term($term_id, $taxonomy);
    if ($term instanceof \WP_Term) {
        on_term($term_id, $term->term_taxonomy_id);
    }
}

/** Queue all posts of an author who was renamed. */
function on_author($user_id, $before)
{
    if (get_userdata($user_id)->display_name !== $before->display_name) {
        enqueue_all('post_author = %d', $user_id);
    }
}

function schedule()
{
    if (!wp_next_scheduled('recommender_send')) {
        wp_schedule_event(time(), 'recommender_minute', 'recommender_send');
    }
}

function unschedule()
{
    wp_clear_scheduled_hook('recommender_send');
}

function every_minute($schedules)
{
    return $schedules + ['recommender_minute' => ['interval' => 60, 'display' => 'Every minute']];
}

function types()
{
    return array_map('trim', explode(',', setting('post_types')));
}

/** Queue a changed post, which may be deleted already. The last change of a request replaces earlier ones. */
function enqueue($post, $kind = '')
{
    if (is_configured() && in_array($post->post_type, types(), true)) {
        insert_rows("VALUES (%s, %s, 'no')", [OPTION_PREFIX . $post->ID, uniqid($kind, true)]);
    }
}

/** Queue all published posts that match an SQL condition on a number. */
function enqueue_all($condition, $number)
{
    global $wpdb;
    if (!is_configured()) {
        return;
    }
    $placeholders = implode(',', array_fill(0, count(types()), '%s'));
    $rows = "SELECT CONCAT(%s, ID), %s, 'no' FROM $wpdb->posts
             WHERE $condition AND post_status = 'publish' AND post_type IN ($placeholders)";
    insert_rows($rows, array_merge([OPTION_PREFIX, uniqid(UNDATED, true), $number], types()));
}

/** Insert rows into the queue, and send them at the end of this request. */
function insert_rows($rows, $values)
{
    global $wpdb;
    $wpdb->query($wpdb->prepare( // bypasses the options cache, in which concurrent requests overwrite each other
        "INSERT INTO $wpdb->options (option_name, option_value, autoload) $rows
         ON DUPLICATE KEY UPDATE option_value = VALUES(option_value)",
        $values
    ));
    if (!has_action('shutdown', __NAMESPACE__ . '\after_response')) {
        add_action('shutdown', __NAMESPACE__ . '\after_response', 1000);
    }
}

function after_response()
{
    ignore_user_abort(true);
    if (function_exists('fastcgi_finish_request')) {
        fastcgi_finish_request(); // so that the editor does not wait
    }
    send_queued();
}

/** Send the current state of the queued posts, oldest first. */
function send_queued()
{
    global $wpdb;
    if (!is_configured()) {
        return;
    }
    $lock = substr("recommender_$wpdb->dbname.$wpdb->options", 0, 64); // two senders could send an older state last
    if ($wpdb->get_var($wpdb->prepare('SELECT GET_LOCK(%s, 2)', $lock)) !== '1') {
        return;
    }
    $until = time() + MAX_SECONDS;
    $like = $wpdb->esc_like(OPTION_PREFIX) . '%';
    $last = 0;
    do {
        $rows = $wpdb->get_results($wpdb->prepare(
            "SELECT * FROM $wpdb->options WHERE option_name LIKE %s AND option_id > %d ORDER BY option_id LIMIT 50",
            $like,
            $last
        ));
        foreach ($rows as $row) {
            $last = $row->option_id;
            $id = (int) substr($row->option_name, strlen(OPTION_PREFIX));
            $outcome = time() < $until ? send($id, strpos($row->option_value, UNDATED) === 0) : STOPPED;
            if ($outcome === STOPPED) {
                break 2;
            }
            if ($outcome === SETTLED) { // a post that changed during sending has a new value and stays queued
                $sent = ['option_name' => $row->option_name, 'option_value' => $row->option_value];
                $wpdb->delete($wpdb->options, $sent);
            }
        }
    } while ($rows);
    $wpdb->query($wpdb->prepare('SELECT RELEASE_LOCK(%s)', $lock));
}

/** Send the current state of a post, with the current time if `undated`; returns the outcome. */
function send($id, $undated)
{
    $post = get_post($id);
    if (!is_public($post)) {
        return outcome($id, call_api('DELETE', $id));
    }
    $fields = fields($post);
    $response = call_api('PUT', $id, $undated ? now() + $fields : $fields);
    if (is_older($response)) { // it was withdrawn after its last change, so publishing it again is a change now
        $response = call_api('PUT', $id, now() + $fields);
    }
    return is_older($response) ? FAILED : outcome($id, $response); // the clocks differ; succeeds within a minute
}

/** Return whether WordPress shows a post to everybody; null is a post that does not exist. */
function is_public($post)
{
    return $post && $post->post_status === 'publish' && $post->post_password === '';
}

/** Return whether the service ignored the post because it has a newer version. */
function is_older($response)
{
    $result = json_decode(wp_remote_retrieve_body($response), true);
    return isset($result['applied']) && !$result['applied'];
}

function now()
{
    $now = \DateTime::createFromFormat('U.u', sprintf('%.6F', microtime(true)));
    return ['updated_at' => $now->format('Y-m-d\TH:i:s.u\Z')];
}

/** Return the outcome of a request, and log errors. */
function outcome($id, $response)
{
    $status = (int) wp_remote_retrieve_response_code($response);
    if ($status >= 200 && $status < 300) {
        return SETTLED;
    }
    $message = is_wp_error($response) ? $response->get_error_message() : wp_remote_retrieve_body($response);
    error_log("recommender: post $id, status $status: " . substr($message, 0, 500));
    update_option(LAST_ERROR, ['at' => time(), 'post' => $id, 'status' => $status, 'text' => reason($response)], false);
    if (in_array($status, [400, 413, 415], true)) {
        return SETTLED; // it would be rejected again
    }
    return $status === 500 ? FAILED : STOPPED;
}

function call_api($method, $id, $fields = null)
{
    return request($method, '/v1/article?id=' . rawurlencode(setting('id_prefix') . $id), $fields, TIMEOUT);
}

/** Send a request with the key; return the response, or a WP_Error. */
function request($method, $target, $fields, $timeout)
{
    return wp_remote_request(rtrim(setting('url'), '/') . $target, [
        'method' => $method,
        'timeout' => $timeout,
        'redirection' => 0,
        'headers' => ['Authorization' => 'Bearer ' . setting('key'), 'Content-Type' => 'application/json'],
        'body' => $fields === null ? null : wp_json_encode($fields, JSON_INVALID_UTF8_SUBSTITUTE),
    ]);
}

/** Return in one line why a request failed. */
function reason($response)
{
    if (is_wp_error($response)) {
        return $response->get_error_message();
    }
    $problem = json_decode(wp_remote_retrieve_body($response), true);
    return isset($problem['detail']) && is_string($problem['detail']) ? substr($problem['detail'], 0, 500) : '';
}

/** Return the fields of a post, equal to those of the REST API, so that an import finds no differences. */
function fields($post)
{
    $names = function ($taxonomy) use ($post) {
        $terms = get_the_terms($post, $taxonomy);
        return is_array($terms) ? array_values(wp_list_pluck($terms, 'name', 'term_id')) : [];
    };
    $categories = $names('category');
    $primary = get_term((int) get_post_meta($post->ID, '_yoast_wpseo_primary_category', true), 'category');
    if ($primary instanceof \WP_Term && in_array($primary->name, $categories, true)) {
        array_unshift($categories, $primary->name);
    }
    return array_filter([
        'title' => get_the_title($post),
        'body' => body($post),
        'url' => get_permalink($post),
        'categories' => $categories,
        'tags' => $names('post_tag'),
        'authors' => array_filter([get_the_author_meta('display_name', $post->post_author)]),
        'type' => $post->post_type,
        'published_at' => moment($post->post_date_gmt),
        'updated_at' => moment($post->post_modified_gmt),
        'lang' => language($post),
        'image_url' => wp_get_attachment_url(get_post_thumbnail_id($post)),
    ]);
}

/** Return the language of a post in Polylang or WPML, or an empty string; the service then detects it. */
function language($post)
{
    if (function_exists('pll_get_post_language')) {
        $lang = \pll_get_post_language($post->ID, 'locale');
    } else {
        $details = apply_filters('wpml_post_language_details', null, $post->ID);
        $lang = is_array($details) && isset($details['locale']) ? $details['locale'] : '';
    }
    // The service refuses other codes.
    return is_string($lang) && preg_match('/^[a-z]{2}([_-]|$)/i', $lang) ? $lang : '';
}

function body($post)
{
    $before = isset($GLOBALS['post']) ? $GLOBALS['post'] : null;
    $GLOBALS['post'] = $post;
    setup_postdata($post);
    add_filter(HIDE_LISTS, '__return_true'); // the titles of other posts are not text of this one
    try {
        return apply_filters('the_content', $post->post_content);
    } catch (\Throwable $error) { // in another plugin; a failing shortcode must not prevent sending
        return strip_shortcodes($post->post_content);
    } finally {
        remove_filter(HIDE_LISTS, '__return_true');
        $GLOBALS['post'] = $before;
        wp_reset_postdata();
    }
}

function moment($gmt)
{
    return strpos($gmt, '0000') === 0 ? null : str_replace(' ', 'T', $gmt) . 'Z';
}
