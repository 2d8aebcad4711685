<?php
// Inserts posts into WordPress. Reads JSON lines from standard input, with title, body, categories, tags,
// published_at and optionally id, status, post_password and image_url. Prints the id of each post.
require __DIR__ . '/load.php';
require_once ABSPATH . 'wp-admin/includes/taxonomy.php';

$image_of = [];
while (($line = fgets(STDIN)) !== false) {
    $article = json_decode($line, true);
    $published = strtotime($article['published_at'] ?? 'now');
    $id = wp_insert_post([
        'import_id' => (int) ($article['id'] ?? 0),
        'post_title' => wp_slash($article['title']),
        'post_content' => wp_slash($article['body']),
        'post_status' => $article['status'] ?? 'publish',
        'post_password' => $article['post_password'] ?? '',
        'post_author' => 1,
        'post_date_gmt' => gmdate('Y-m-d H:i:s', $published),
        'post_date' => get_date_from_gmt(gmdate('Y-m-d H:i:s', $published)),
        'post_category' => array_map('wp_create_category', array_map('wp_slash', array_filter($article['categories'] ?? [$article['category'] ?? '']))),
        'tags_input' => $article['tags'] ?? [],
    ], true);
    if (is_wp_error($id)) {
        fwrite(STDERR, $id->get_error_message() . "\n");
        exit(1);
    }
    $image_of[$id] = $article['image_url'] ?? '';
    echo $id, "\n";
}
foreach (array_filter($image_of) as $id => $address) { // afterwards, because images use up ids too
    $picture = ['post_mime_type' => 'image/jpeg', 'guid' => $address];
    set_post_thumbnail($id, wp_insert_attachment($picture, basename($address), $id));
}
