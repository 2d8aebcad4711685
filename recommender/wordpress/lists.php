<?php
/**
 * Shows lists of related and trending posts: a block, and the shortcode [recommender list="related" limit="5"].
 *
 * The lists are rendered on the server, so the key stays there. They are cached for a minute. If the service does
 * not respond, the last list is shown for up to a day. Posts that WordPress does not show are never listed.
 */

namespace Recommender;

if (!defined('ABSPATH')) {
    exit;
}

const LIST_TIMEOUT = 1; // seconds; a reader waits for them once in a while
const FRESH_SECONDS = 60;
const PAUSE_SECONDS = 30; // without requests, after one has failed
const PAUSED = 'recommender_paused'; // transient
const MAX_ITEMS = 50;
const HIDE_LISTS = 'recommender_hide_lists'; // filter: whether lists are left out

add_action('init', __NAMESPACE__ . '\register_block');
add_shortcode('recommender', __NAMESPACE__ . '\render_list');

function register_block()
{
    $url = plugins_url('block.js', PLUGIN_FILE);
    $needed = ['wp-block-editor', 'wp-blocks', 'wp-components', 'wp-element', 'wp-i18n', 'wp-server-side-render'];
    wp_register_script('recommender-block', $url, $needed, (string) filemtime(__DIR__ . '/block.js'), true);
    wp_set_script_translations('recommender-block', 'recommender', __DIR__ . '/languages');
    register_block_type('recommender/list', [
        'api_version' => 2,
        'editor_script' => 'recommender-block',
        'uses_context' => ['postId'],
        'attributes' => [
            'list' => ['type' => 'string', 'enum' => ['related', 'trending'], 'default' => 'related'],
            'limit' => ['type' => 'integer', 'minimum' => 1, 'maximum' => MAX_ITEMS, 'default' => 5],
            'title' => ['type' => 'string', 'default' => ''],
        ],
        'render_callback' => function ($attributes, $content, $block) {
            $post_id = isset($block->context['postId']) ? (int) $block->context['postId'] : get_the_ID();
            $html = render_list($attributes + ['post_id' => $post_id]);
            return $html === '' ? '' : '<div ' . get_block_wrapper_attributes() . ">$html</div>";
        },
    ]);
}

/** Return a list as HTML; an empty string if there is nothing to list. */
function render_list($attributes)
{
    $defaults = ['list' => 'related', 'limit' => 5, 'title' => '', 'post_id' => get_the_ID()];
    $attributes = shortcode_atts($defaults, $attributes, 'recommender');
    $is_trending = $attributes['list'] === 'trending';
    $limit = max(1, min(MAX_ITEMS, (int) $attributes['limit']));
    $id = rawurlencode(setting('id_prefix') . (int) $attributes['post_id']);
    $target = $is_trending ? "/v1/trending?limit=$limit" : "/v1/related?id=$id&limit=$limit&unknown=fallback";
    $items = is_configured() && !are_hidden() ? items($target) : [];
    $links = array_filter(array_map(__NAMESPACE__ . '\link_to', $items));
    if (!$links) {
        return '';
    }
    $standard = $is_trending ? __('Trending', 'recommender') : __('Related', 'recommender');
    $title = $attributes['title'] === '' ? $standard : $attributes['title'];
    return sprintf(
        '<section class="recommender-list"><h2>%s</h2><ul>%s</ul></section>',
        esc_html($title),
        '<li>' . implode('</li><li>', $links) . '</li>'
    );
}

/** Return whether a post is rendered for other programs, which must not take a list for its text. */
function are_hidden()
{
    global $wp;
    $route = isset($wp->query_vars['rest_route']) ? $wp->query_vars['rest_route'] : '';
    $is_preview = strpos($route, '/wp/v2/block-renderer/') === 0;
    $is_rest = defined('REST_REQUEST') && REST_REQUEST && !$is_preview;
    return apply_filters(HIDE_LISTS, $is_rest || is_feed());
}

/** Return a link to an item, or null for a post that WordPress does not show to everybody. */
function link_to($item)
{
    $prefix = setting('id_prefix');
    $id = isset($item['id']) && is_string($item['id']) ? $item['id'] : '';
    $rest = strpos($id, $prefix) === 0 ? substr($id, strlen($prefix)) : '';
    if (ctype_digit($rest)) {
        $post = get_post((int) $rest);
        if (!is_public($post)) {
            return null;
        }
        $url = get_permalink($post);
        $title = wp_strip_all_tags(get_the_title($post));
    } else { // of another site with the same service
        $url = isset($item['url']) && is_string($item['url']) ? $item['url'] : '';
        $title = isset($item['title']) && is_string($item['title']) ? $item['title'] : '';
    }
    $url = esc_url($url, ['http', 'https']);
    return $url === '' || $title === '' ? null : "<a href=\"$url\">" . esc_html($title) . '</a>';
}

/** Return the items of a list, at most a minute old; older ones if the service does not respond. */
function items($target)
{
    $name = 'recommender_list_' . md5(setting('url') . $target);
    $cached = get_transient($name);
    $cached = is_array($cached) ? $cached : ['until' => 0, 'items' => []];
    if ($cached['until'] > time() || get_transient(PAUSED)) {
        return $cached['items'];
    }
    // Other readers get the old list meanwhile.
    set_transient($name, ['until' => time() + 2 * LIST_TIMEOUT] + $cached, DAY_IN_SECONDS);
    $response = request('GET', $target, null, LIST_TIMEOUT);
    $status = (int) wp_remote_retrieve_response_code($response);
    $list = json_decode(wp_remote_retrieve_body($response), true);
    if ($status === 200 && isset($list['items']) && is_array($list['items'])) {
        $items = $list['items'];
    } elseif ($status === 404 || $status === 410) { // the post was withdrawn
        $items = [];
    } else {
        error_log("recommender: no list, status $status: " . reason($response));
        set_transient(PAUSED, 1, PAUSE_SECONDS);
        return $cached['items'];
    }
    set_transient($name, ['until' => time() + FRESH_SECONDS, 'items' => $items], DAY_IN_SECONDS);
    return $items;
}
