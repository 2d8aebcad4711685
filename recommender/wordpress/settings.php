<?php
/** The settings, and the page on which administrators change and test them. */

namespace Recommender;

if (!defined('ABSPATH')) {
    exit;
}

const OPTION = 'recommender_settings';
const PAGE = 'recommender';
const DEFAULTS = ['url' => '', 'key' => '', 'id_prefix' => '', 'post_types' => 'post'];
const TEST_TIMEOUT = 5; // seconds

add_action('init', __NAMESPACE__ . '\load_translations');
add_action('admin_init', __NAMESPACE__ . '\register');
add_action('admin_menu', __NAMESPACE__ . '\add_page');
add_action('admin_post_recommender_test', __NAMESPACE__ . '\handle_test');
add_action('admin_post_recommender_send', __NAMESPACE__ . '\handle_send');
add_filter('plugin_action_links_' . plugin_basename(PLUGIN_FILE), __NAMESPACE__ . '\add_link');

/** Return a setting: from wp-config.php, from the settings page, or the default. */
function setting($name)
{
    $constant = constant_of($name);
    if (defined($constant)) {
        return (string) constant($constant);
    }
    $saved = get_option(OPTION);
    return is_array($saved) && isset($saved[$name]) ? (string) $saved[$name] : DEFAULTS[$name];
}

function constant_of($name)
{
    return 'RECOMMENDER_' . strtoupper($name);
}

function is_configured()
{
    return setting('url') !== '' && setting('key') !== '';
}

function load_translations()
{
    load_plugin_textdomain('recommender', false, dirname(plugin_basename(PLUGIN_FILE)) . '/languages');
}

function labels()
{
    return [
        'url' => __('Address of the service', 'recommender'),
        'key' => __('API key', 'recommender'),
        'id_prefix' => __('Prefix of ids', 'recommender'),
        'post_types' => __('Post types', 'recommender'),
    ];
}

function descriptions()
{
    return [
        'url' => __('For example http://127.0.0.1:8000', 'recommender'),
        'key' => __('It needs the scope “articles”, and “read” if reading requires a key.', 'recommender'),
        'id_prefix' => __('Only if several sites share a service.', 'recommender'),
        'post_types' => __('Separate several types by commas.', 'recommender'),
    ];
}

function register()
{
    register_setting(PAGE, OPTION, ['type' => 'array', 'sanitize_callback' => __NAMESPACE__ . '\sanitize']);
    add_settings_section(PAGE, '', '__return_null', PAGE);
    foreach (labels() as $name => $label) {
        $arguments = ['name' => $name, 'label_for' => "recommender-$name"];
        add_settings_field($name, esc_html($label), __NAMESPACE__ . '\render_field', PAGE, PAGE, $arguments);
    }
}

/** Return the values to save; an invalid address and an empty key leave the saved ones. */
function sanitize($values)
{
    $saved = get_option(OPTION);
    $saved = (is_array($saved) ? $saved : []) + DEFAULTS;
    $values = array_map('trim', array_filter(is_array($values) ? $values : [], 'is_string'));
    $values = array_intersect_key($values, DEFAULTS) + $saved;
    if ($values['url'] !== '' && esc_url_raw($values['url'], ['http', 'https']) !== $values['url']) {
        add_settings_error(OPTION, 'url', __('The address must begin with http:// or https://.', 'recommender'));
        $values['url'] = $saved['url'];
    }
    if ($values['key'] === '') { // it is never sent to the browser, so an empty field means no change
        $values['key'] = $saved['key'];
    } elseif (preg_match('/[^!-~]/', $values['key'])) {
        add_settings_error(OPTION, 'key', __('The key contains a character that no key has.', 'recommender'));
        $values['key'] = $saved['key'];
    }
    $values['post_types'] = $values['post_types'] === '' ? DEFAULTS['post_types'] : $values['post_types'];
    return array_intersect_key($values, DEFAULTS);
}

function add_page()
{
    $title = __('Recommender', 'recommender');
    add_options_page($title, $title, 'manage_options', PAGE, __NAMESPACE__ . '\render_page');
}

function page_url()
{
    return admin_url('options-general.php?page=' . PAGE);
}

function add_link($links)
{
    $link = '<a href="' . esc_url(page_url()) . '">' . esc_html__('Settings', 'recommender') . '</a>';
    return array_merge([$link], $links);
}

function render_field($arguments)
{
    $name = $arguments['name'];
    $is_fixed = defined(constant_of($name));
    $placeholder = $name === 'key' && setting('key') !== '' ? __('saved; leave empty to keep it', 'recommender') : '';
    printf(
        '<input type="%s" class="regular-text" id="recommender-%s" name="%s[%s]" value="%s" placeholder="%s" %s>',
        $name === 'key' ? 'password' : 'text',
        esc_attr($name),
        esc_attr(OPTION),
        esc_attr($name),
        $name === 'key' ? '' : esc_attr(setting($name)),
        esc_attr($placeholder),
        $is_fixed ? 'disabled' : 'autocomplete="off"'
    );
    $description = $is_fixed ? __('Set in wp-config.php.', 'recommender') : descriptions()[$name];
    echo '<p class="description">' . esc_html($description) . '</p>';
}

function render_page()
{
    if (!current_user_can('manage_options')) {
        return;
    }
    echo '<div class="wrap"><h1>' . esc_html__('Recommender', 'recommender') . '</h1>';
    $result = get_transient(result_name());
    if (is_array($result)) {
        delete_transient(result_name());
        $class = $result['ok'] ? 'notice-success' : 'notice-error';
        printf('<div class="notice %s"><p>%s</p></div>', esc_attr($class), esc_html($result['text']));
    }
    echo '<form action="' . esc_url(admin_url('options.php')) . '" method="post">';
    settings_fields(PAGE);
    do_settings_sections(PAGE);
    submit_button(__('Save', 'recommender'));
    echo '</form><h2>' . esc_html__('Connection', 'recommender') . '</h2>';
    render_button('recommender_test', __('Test the connection', 'recommender'));
    echo '<h2>' . esc_html__('Queue', 'recommender') . '</h2>';
    foreach (queue_status() as $line) {
        echo '<p>' . esc_html($line) . '</p>';
    }
    render_button('recommender_send', __('Send now', 'recommender'));
    echo '</div>';
}

function render_button($action, $label)
{
    echo '<form action="' . esc_url(admin_url('admin-post.php')) . '" method="post">';
    echo '<input type="hidden" name="action" value="' . esc_attr($action) . '">';
    wp_nonce_field($action);
    submit_button($label, 'secondary', $action, false, is_configured() ? [] : ['disabled' => 'disabled']);
    echo '</form>';
}

/** Return what an administrator should know of the queue, as lines. */
function queue_status()
{
    $waiting = queue_length();
    /* translators: %s: a number */
    $text = _n('%s post waits to be sent.', '%s posts wait to be sent.', $waiting, 'recommender');
    $lines = [sprintf($text, number_format_i18n($waiting))];
    $next = wp_next_scheduled('recommender_send');
    if ($next && $next < time() - 10 * MINUTE_IN_SECONDS) {
        /* translators: %s: a time span, such as "3 hours" */
        $text = __('WP-Cron is %s late. Call wp-cron.php from a cron job.', 'recommender');
        $lines[] = sprintf($text, human_time_diff($next));
    }
    $error = get_option(LAST_ERROR);
    if (is_array($error)) {
        /* translators: 1: a time span, such as "3 hours", 2: a post id, 3: a status or 0, 4: the cause */
        $text = __('Last error, %1$s ago: post %2$d, status %3$d. %4$s', 'recommender');
        $lines[] = sprintf($text, human_time_diff($error['at']), $error['post'], $error['status'], $error['text']);
    }
    return $lines;
}

function queue_length()
{
    global $wpdb;
    $like = $wpdb->esc_like(OPTION_PREFIX) . '%';
    return (int) $wpdb->get_var($wpdb->prepare("SELECT COUNT(*) FROM $wpdb->options WHERE option_name LIKE %s", $like));
}

function handle_test()
{
    finish('recommender_test', __NAMESPACE__ . '\test_connection');
}

function handle_send()
{
    finish('recommender_send', function () {
        send_queued();
        return ['ok' => queue_length() === 0, 'text' => implode(' ', queue_status())];
    });
}

/** Run an action for an administrator whose form has a valid nonce, and show the result on the page. */
function finish($action, $run)
{
    if (!current_user_can('manage_options')) {
        wp_die(esc_html__('You may not change these settings.', 'recommender'), '', ['response' => 403]);
    }
    check_admin_referer($action);
    set_transient(result_name(), $run(), MINUTE_IN_SECONDS);
    wp_safe_redirect(page_url());
    exit;
}

function result_name()
{
    return 'recommender_result_' . get_current_user_id();
}

/** Try to read, and to write something that the service refuses for every key that may write. */
function test_connection()
{
    $read = request('GET', '/v1/articles?limit=1', null, TEST_TIMEOUT);
    $status = (int) wp_remote_retrieve_response_code($read);
    if (is_wp_error($read)) {
        /* translators: %s: the cause */
        return failed(__('The service does not respond: %s', 'recommender'), reason($read));
    }
    if ($status === 401 || $status === 403) {
        /* translators: %s: the cause */
        return failed(__('The key may not read: %s', 'recommender'), reason($read));
    }
    $list = json_decode(wp_remote_retrieve_body($read), true);
    if ($status !== 200 || !isset($list['items'])) {
        /* translators: %s: a status and the cause */
        return failed(__('This is not a recommender that is ready: %s', 'recommender'), $status . ' ' . reason($read));
    }
    $draft = ['title' => 'test', 'status' => 'draft']; // drafts are never stored
    $write = request('PUT', '/v1/article?id=recommender-test', $draft, TEST_TIMEOUT);
    if ((int) wp_remote_retrieve_response_code($write) !== 400) {
        /* translators: %s: the cause */
        return failed(__('The key may not send posts: %s', 'recommender'), reason($write));
    }
    delete_transient(PAUSED);
    return ['ok' => true, 'text' => __('The service responds, and the key may send posts.', 'recommender')];
}

function failed($text, $cause)
{
    return ['ok' => false, 'text' => sprintf($text, $cause)];
}
