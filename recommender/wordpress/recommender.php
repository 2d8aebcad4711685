<?php
/**
 * Plugin Name: Recommender
 * Description: Tells the recommender of every post that is published, edited or taken down.
 * License: MIT
 *
 * Put this file into wp-content/mu-plugins/, and say in wp-config.php where the service is, and with which key
 * of the scope `articles` it is told:
 *
 *     define('RECOMMENDER_URL', 'http://127.0.0.1:8000');
 *     define('RECOMMENDER_KEY', '…');
 *     define('RECOMMENDER_ID_PREFIX', '');         // only where several sites share a service
 *     define('RECOMMENDER_POST_TYPES', 'post');    // several stand apart by commas
 *
 * A post that changes is noted in the table of options, a row each. Once the editor has the answer, the present
 * state of all noted posts is sent. What cannot be sent stays noted, and WP-Cron tries again every minute.
 */

namespace Recommender;

if (!defined('ABSPATH') || !defined('RECOMMENDER_URL') || !defined('RECOMMENDER_KEY')) {
    return;
}

const NOTE = 'recommender_changed_'; // and the id of a post: the name of an option
const UNDATED = 'undated '; // begins the value of a note: the post itself says nothing of the change
const SECONDS = 20; // after which sending is left to the next minute
const TIMEOUT = 5; // seconds, for one post
const SETTLED = 0; // a post was taken, or is refused for what it is
const FAILED = 1; // to be tried again, after others
const STOPPED = 2; // others would fare no better now

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
add_action('recommender_send', __NAMESPACE__ . '\send_noted');
add_action('init', __NAMESPACE__ . '\schedule');
add_filter('cron_schedules', __NAMESPACE__ . '\every_minute');

/** Note a post that becomes public, or no longer is. */
function on_status($new, $old, $post)
{
    if ($new === 'publish' || $old === 'publish') {
        note($post);
    }
}

function on_save($id, $post)
{
    if ($post->post_status === 'publish') {
        note($post);
    }
}

function on_delete($id, $post)
{
    if ($post->post_status === 'publish') { // a post in the trash was taken down already
        note($post);
    }
}

/** Note a public post whose terms, picture or primary category change while its text does not. */
function on_part($id)
{
    $post = get_post($id);
    if ($post && $post->post_status === 'publish') {
        note($post, UNDATED);
    }
}

function on_meta($meta_id, $id, $key)
{
    if ($key === '_thumbnail_id' || $key === '_yoast_wpseo_primary_category') {
        on_part($id);
    }
}

/** Note all posts of a category or tag that has a new name. */
function on_term($term_id, $taxonomy_id)
{
    global $wpdb;
    note_all("ID IN (SELECT object_id FROM $wpdb->term_relationships WHERE term_taxonomy_id = %d)", $taxonomy_id);
}

function on_delete_term($term_id, $taxonomy)
{
    $term = get_term($term_id, $taxonomy);
    if ($term instanceof \WP_Term) {
        on_term($term_id, $term->term_taxonomy_id);
    }
}

/** Note all posts of an author who has a new name. */
function on_author($user_id, $before)
{
    if (get_userdata($user_id)->display_name !== $before->display_name) {
        note_all('post_author = %d', $user_id);
    }
}

function schedule()
{
    if (!wp_next_scheduled('recommender_send')) {
        wp_schedule_event(time(), 'recommender_minute', 'recommender_send');
    }
}

function every_minute($schedules)
{
    return $schedules + ['recommender_minute' => ['interval' => 60, 'display' => 'Every minute']];
}

function types()
{
    return array_map('trim', explode(',', defined('RECOMMENDER_POST_TYPES') ? RECOMMENDER_POST_TYPES : 'post'));
}

/** Note that a post changed; it may be gone already. Of several notes of a request the last one stays. */
function note($post, $kind = '')
{
    if (in_array($post->post_type, types(), true)) {
        write_down("VALUES (%s, %s, 'no')", [NOTE . $post->ID, uniqid($kind, true)]);
    }
}

/** Note all public posts that a condition on a number holds for. */
function note_all($condition, $number)
{
    global $wpdb;
    $of_types = implode(',', array_fill(0, count(types()), '%s'));
    $rows = "SELECT CONCAT(%s, ID), %s, 'no' FROM $wpdb->posts
             WHERE $condition AND post_status = 'publish' AND post_type IN ($of_types)";
    write_down($rows, array_merge([NOTE, uniqid(UNDATED, true), $number], types()));
}

/** Write notes down, and have them sent when this request is over. */
function write_down($rows, $values)
{
    global $wpdb;
    $wpdb->query($wpdb->prepare( // past the cache of options, which requests would overwrite for one another
        "INSERT INTO $wpdb->options (option_name, option_value, autoload) $rows
         ON DUPLICATE KEY UPDATE option_value = VALUES(option_value)",
        $values
    ));
    if (!has_action('shutdown', __NAMESPACE__ . '\after_answer')) {
        add_action('shutdown', __NAMESPACE__ . '\after_answer', 1000);
    }
}

function after_answer()
{
    ignore_user_abort(true);
    if (function_exists('fastcgi_finish_request')) {
        fastcgi_finish_request(); // the editor waits no longer
    }
    send_noted();
}

/** Send the present state of what is noted, the longest waiting first. */
function send_noted()
{
    global $wpdb;
    $lock = substr("recommender_$wpdb->dbname.$wpdb->options", 0, 64); // two senders might send an old state last
    if ($wpdb->get_var($wpdb->prepare('SELECT GET_LOCK(%s, 2)', $lock)) !== '1') {
        return;
    }
    $until = time() + SECONDS;
    $like = $wpdb->esc_like(NOTE) . '%';
    $last = 0;
    do {
        $noted = $wpdb->get_results($wpdb->prepare(
            "SELECT * FROM $wpdb->options WHERE option_name LIKE %s AND option_id > %d ORDER BY option_id LIMIT 50",
            $like,
            $last
        ));
        foreach ($noted as $row) {
            $last = $row->option_id;
            $id = (int) substr($row->option_name, strlen(NOTE));
            $became = time() < $until ? send($id, strpos($row->option_value, UNDATED) === 0) : STOPPED;
            if ($became === STOPPED) {
                break 2;
            }
            if ($became === SETTLED) { // a post that was changed while it was sent is noted anew, and stays so
                $sent = ['option_name' => $row->option_name, 'option_value' => $row->option_value];
                $wpdb->delete($wpdb->options, $sent);
            }
        }
    } while ($noted);
    $wpdb->query($wpdb->prepare('SELECT RELEASE_LOCK(%s)', $lock));
}

/** Send the present state of a post, as changed now where it is `undated`; returns what became of it. */
function send($id, $undated)
{
    $post = get_post($id);
    if (!$post || $post->post_status !== 'publish' || $post->post_password !== '') {
        return became($id, ask('DELETE', $id));
    }
    $fields = fields($post);
    $answer = ask('PUT', $id, $undated ? now() + $fields : $fields);
    if (is_older($answer)) { // it was withdrawn after its last change: that it is public is a change of this moment
        $answer = ask('PUT', $id, now() + $fields);
    }
    return is_older($answer) ? FAILED : became($id, $answer); // the clocks differ: in a minute it is later here, too
}

/** Return whether the service knows something newer of a post. */
function is_older($answer)
{
    $told = json_decode(wp_remote_retrieve_body($answer), true);
    return isset($told['applied']) && !$told['applied'];
}

function now()
{
    $now = \DateTime::createFromFormat('U.u', sprintf('%.6F', microtime(true)));
    return ['updated_at' => $now->format('Y-m-d\TH:i:s.u\Z')];
}

/** Return what an answer means for a post, and write down why it was not taken. */
function became($id, $answer)
{
    $status = (int) wp_remote_retrieve_response_code($answer);
    if ($status >= 200 && $status < 300) {
        return SETTLED;
    }
    $why = is_wp_error($answer) ? $answer->get_error_message() : wp_remote_retrieve_body($answer);
    error_log("recommender: post $id, status $status: " . substr($why, 0, 500));
    if (in_array($status, [400, 413, 415], true)) {
        return SETTLED; // it would be refused again
    }
    return $status === 500 ? FAILED : STOPPED;
}

function ask($method, $id, $fields = null)
{
    $prefix = defined('RECOMMENDER_ID_PREFIX') ? RECOMMENDER_ID_PREFIX : '';
    return wp_remote_request(rtrim(RECOMMENDER_URL, '/') . '/v1/article?id=' . rawurlencode($prefix . $id), [
        'method' => $method,
        'timeout' => TIMEOUT,
        'redirection' => 0,
        'headers' => ['Authorization' => 'Bearer ' . RECOMMENDER_KEY, 'Content-Type' => 'application/json'],
        'body' => $fields === null ? null : wp_json_encode($fields, JSON_INVALID_UTF8_SUBSTITUTE),
    ]);
}

/** Return what the service is told of a post: what the REST API tells, so that an import finds nothing new. */
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
        'image_url' => wp_get_attachment_url(get_post_thumbnail_id($post)),
    ]);
}

function body($post)
{
    $before = isset($GLOBALS['post']) ? $GLOBALS['post'] : null;
    $GLOBALS['post'] = $post;
    setup_postdata($post);
    try {
        return apply_filters('the_content', $post->post_content);
    } catch (\Throwable $error) { // of another plugin; its shortcode must not keep a post from being sent
        return strip_shortcodes($post->post_content);
    } finally {
        $GLOBALS['post'] = $before;
        wp_reset_postdata();
    }
}

function moment($gmt)
{
    return strpos($gmt, '0000') === 0 ? null : str_replace(' ', 'T', $gmt) . 'Z';
}
