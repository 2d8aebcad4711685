"""Posts of Ghost, WordPress, Drupal, Strapi and JSON Feed are read by our names, and only public posts."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recommender.article import Article
from recommender.text import plain_text
from recommender.training.formats.json_posts import lexical_html, mobiledoc_html
from recommender.training.readers.corpus import Corpus, CorpusError, read_articles
from recommender.visibility import Decisions, UndecidedError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SITE = "https://paper.example"
GHOST: dict[str, Any] = {
    "id": "a1",
    "title": "Ferry",
    "slug": "ferry",
    "html": "<p>The ferry sails.</p>",
    "type": "post",
    "status": "published",
    "visibility": "public",
    "published_at": "2025-03-01T08:00:00.000Z",
}
WORDPRESS: dict[str, Any] = {
    "id": 11,
    "date": "2025-03-01T09:00:00",
    "date_gmt": "2025-03-01T08:00:00",
    "link": f"{SITE}/ferry/",
    "status": "publish",
    "type": "post",
    "title": {"rendered": "Ferry &amp; tram"},
    "content": {"rendered": "<p>The ferry sails.</p>", "protected": False},
    "categories": [3],
}
DRUPAL: dict[str, Any] = {
    "type": "node--article",
    "id": "n-1",
    "attributes": {
        "title": "Ferry",
        "status": True,
        "created": "2025-03-01T08:00:00+00:00",
        "langcode": "en",
        "path": {"alias": "/news/ferry"},
        "body": {"value": "raw", "processed": "<p>The ferry sails.</p>"},
    },
}
STRAPI = {"title": "Ferry", "content": "The **ferry** sails.", "publishedAt": "2025-03-01T08:00:00.000Z"}


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Return a function that reads a document."""

    def read_document(document: Any, **options: Any) -> Corpus:
        (tmp_path / "a.json").write_text(json.dumps(document), encoding="utf-8")
        return read_articles(tmp_path / "a.json", now=NOW, max_bad=1, **options)

    return read_document


def export(*posts: dict[str, Any], version: str = "5.8", **tables: Any) -> dict[str, Any]:
    return {"db": [{"meta": {"version": version}, "data": {**tables, "posts": list(posts)}}]}


def only(corpus: Corpus) -> Article:
    (article,) = corpus.articles
    return article


@pytest.mark.parametrize("wrap", [lambda e: e, lambda e: e["db"][0]], ids=["db", "without db"])
def test_an_export_of_ghost_is_read_with_its_tables(read: Any, wrap: Any) -> None:
    post = GHOST | {"feature_image": "__GHOST_URL__/content/a.jpg", "title": "Ferry <5 km"}
    document = export(
        post,
        tags=[
            {"id": "t1", "name": "Sea"},
            {"id": "t2", "name": "#hidden", "visibility": "internal"},
            {"id": "t3", "name": "News"},
        ],
        posts_tags=[
            {"post_id": "a1", "tag_id": "t1", "sort_order": 2},
            {"post_id": "a1", "tag_id": "t2", "sort_order": 0},
            {"post_id": "a1", "tag_id": "t3", "sort_order": 1},
        ],
        users=[{"id": "u1", "name": "Ann"}, {"id": "u2", "name": "Ben"}],
        posts_authors=[
            {"post_id": "a1", "author_id": "u1", "sort_order": 1},
            {"post_id": "a1", "author_id": "u2", "sort_order": 0},
        ],
    )

    article = only(read(wrap(document), site=f"{SITE}/"))

    assert (article.id, article.title, article.body) == ("a1", "Ferry <5 km", "The ferry sails.")
    assert (article.url, article.image_url) == (f"{SITE}/ferry/", f"{SITE}/content/a.jpg")
    assert (article.category, article.tags, article.authors) == ("News", ("Sea",), ("Ben", "Ann"))


def test_without_the_address_of_the_site_ghost_posts_have_no_url_and_a_note_says_so(read: Any) -> None:
    corpus = read(export(GHOST | {"feature_image": "__GHOST_URL__/a.jpg"}))

    assert (only(corpus).url, only(corpus).image_url) == (None, None)
    assert len(corpus.report.notes) == 1
    assert "--site" in corpus.report.notes[0]


def test_an_old_export_has_epoch_dates_numbers_as_ids_and_no_visibility(read: Any) -> None:
    post = {key: value for key, value in GHOST.items() if key not in {"visibility", "type"}}
    post |= {"id": 7, "page": 0, "author_id": 1, "published_at": 1409000000000}

    article = only(read(export(post, version="003", users=[{"id": 1, "name": "Ann"}])))

    assert (article.id, article.authors) == ("7", ("Ann",))
    assert article.published_at == datetime(2014, 8, 25, 20, 53, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": "draft"}, "draft"),
        ({"status": "scheduled"}, "scheduled"),
        ({"status": "sent"}, "sent"),
        ({"status": None}, "status: empty"),
        ({"visibility": "members"}, "members"),
        ({"visibility": "tiers"}, "tiers"),
        ({"visibility": None}, "visibility: empty"),
        ({"type": "page"}, "page"),
        ({"page": 1}, "page"),
    ],
)
def test_only_published_public_posts_of_ghost_are_read(read: Any, change: Any, reason: str) -> None:
    corpus = read(export(GHOST, GHOST | {"id": "a2"} | change))

    assert only(corpus).id == "a1"
    assert corpus.report.skipped == {reason: 1}


@pytest.mark.parametrize("absent", ["status", "visibility"])
def test_a_post_of_an_export_without_a_visibility_field_is_hidden(read: Any, absent: str) -> None:
    post = {key: value for key, value in GHOST.items() if key != absent}

    with pytest.raises(CorpusError, match=f"1 {absent}: empty"):
        read(export(post))


def test_the_user_can_admit_more_posts_of_ghost(read: Any) -> None:
    posts = [GHOST | {"id": name, "visibility": name} for name in ("public", "members", "paid")]

    corpus = read(export(*posts), decisions=Decisions.of({"visibility": ["public", "members"]}))

    assert [article.id for article in corpus.articles] == ["members", "public"]
    assert corpus.report.skipped == {"paid": 1}


def test_a_page_of_the_content_api_has_no_status_but_tags_and_a_url(read: Any) -> None:
    post = {key: value for key, value in GHOST.items() if key not in {"status", "type"}}
    post |= {"url": f"{SITE}/x/", "tags": [{"name": "#in"}, {"name": "News"}], "authors": [{"name": "Ann"}]}

    article = only(read({"posts": [post], "meta": {"pagination": {}}}))

    assert (article.url, article.category, article.authors) == (f"{SITE}/x/", "News", ("Ann",))


def test_an_object_with_a_slug_and_html_alone_is_no_post_of_ghost(read: Any) -> None:
    post = {"id": "1", "title": "Ferry", "slug": "ferry", "html": "<p>It sails.</p>"}

    assert only(read([post], columns={"body": "html"})).body == "It sails."
    assert only(read([post])).title == "Ferry"


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({"html": None, "plaintext": "a < b"}, "a < b"),
        ({"html": "", "lexical": {"root": {"children": [{"type": "text", "text": "Tram"}]}}}, "Tram"),
        ({"html": None, "lexical": '{"root": {"children": [{"type": "text", "text": "Tram"}]}}'}, "Tram"),
        ({"html": None, "mobiledoc": '{"sections": [[1, "p", [[0, [], 0, "Tram"]]]]}'}, "Tram"),
        ({"html": None, "markdown": "The *tram*"}, "The tram"),
    ],
)
def test_the_first_body_with_text_is_used(read: Any, fields: Any, body: str) -> None:
    assert only(read(export(GHOST | fields))).body == body


def test_a_broken_body_of_ghost_is_refused(read: Any) -> None:
    corpus = read(export(GHOST, GHOST | {"id": "a2", "html": None, "lexical": '{"root": '}))

    assert corpus.report.refused_by_reason == {"broken rich text": 1}


def test_the_text_of_lexical_is_found_in_all_its_nodes() -> None:
    document = {
        "root": {
            "children": [
                {"type": "heading", "children": [{"type": "text", "text": "One & two"}]},
                {
                    "type": "paragraph",
                    "children": [
                        {"type": "text", "text": "three "},
                        {"type": "link", "children": [{"type": "text", "text": "four"}]},
                        {"type": "linebreak"},
                        {"type": "text", "text": "five"},
                    ],
                },
                {"type": "list", "children": [{"type": "listitem", "children": [{"text": "six"}]}]},
                {"type": "markdown", "markdown": "**seven**"},
                {"type": "callout", "calloutText": "<b>eight</b>"},
                {"type": "toggle", "heading": "nine", "content": "<p>ten</p>"},
                {"type": "email", "html": "only in e-mail"},
                {"type": "codeblock", "code": "<eleven>"},
            ]
        }
    }

    text = plain_text(lexical_html(document)).split("\n\n")

    assert text == "One & two|three four|five|six|seven|eight|nine|ten|<eleven>".split("|")


def test_the_text_of_mobiledoc_is_found_in_markers_lists_atoms_and_cards() -> None:
    document = {
        "atoms": [["soft-return", "", {}]],
        "cards": [["markdown", {"markdown": "*five*"}], ["hr", {}], ["image", {"caption": "x"}]],
        "sections": [
            [1, "p", [[0, [0], 0, "one "], [0, [], 1, "two"], [1, [], 0, 0], [0, [], 0, "three"]]],
            [3, "ul", [[[0, [], 0, "four"]]]],
            [10, 0],
            [10, 1],
            [10, 2],
        ],
    }

    assert plain_text(mobiledoc_html(document)) == "one two\n\nthree\n\nfour\n\nfive"


def test_posts_of_the_wordpress_api_are_read_with_embedded_names(read: Any) -> None:
    embedded = {
        "wp:term": [[{"taxonomy": "category", "name": "News"}], [{"taxonomy": "post_tag", "name": "Sea"}]],
        "author": [{"name": "Ann"}, {"code": "rest_user_invalid_id"}],
        "wp:featuredmedia": [{"source_url": f"{SITE}/a.jpg"}],
    }

    article = only(read([WORDPRESS | {"_embedded": embedded}]))

    assert (article.id, article.title, article.body) == ("11", "Ferry & tram", "The ferry sails.")
    assert (article.category, article.tags, article.authors) == ("News", ("Sea",), ("Ann",))
    assert article.published_at == datetime(2025, 3, 1, 8, tzinfo=UTC)
    assert article.image_url == f"{SITE}/a.jpg"


def test_numbers_of_categories_are_left_out_with_a_note(read: Any) -> None:
    corpus = read([WORDPRESS])

    assert only(corpus).categories == ()
    assert "_embed" in corpus.report.notes[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": "private"}, "private"),
        ({"type": "page"}, "page"),
        ({"content": {"rendered": "", "protected": True}}, "protected: true"),
    ],
)
def test_posts_of_the_wordpress_api_that_are_not_public_are_skipped(
    read: Any, change: Any, reason: str
) -> None:
    assert read([WORDPRESS, WORDPRESS | {"id": 12} | change]).report.skipped == {reason: 1}


def test_an_unknown_status_of_wordpress_stops_the_run(read: Any) -> None:
    with pytest.raises(UndecidedError, match="syndicated"):
        read([WORDPRESS, WORDPRESS | {"id": 12, "status": "syndicated"}])


def test_nodes_of_drupal_are_read_with_included_names(read: Any) -> None:
    relationships = {
        "field_section": {"data": {"type": "taxonomy_term--section", "id": "s"}},
        "field_tags": {"data": [{"type": "taxonomy_term--tags", "id": "t"}]},
        "uid": {"data": {"type": "user--user", "id": "u"}},
    }
    included = [
        {"type": "taxonomy_term--section", "id": "s", "attributes": {"name": "News"}},
        {"type": "taxonomy_term--tags", "id": "t", "attributes": {"name": "Sea"}},
        {"type": "user--user", "id": "u", "attributes": {"display_name": "Ann"}},
    ]

    article = only(
        read({"data": [DRUPAL | {"relationships": relationships}], "included": included}, site=SITE)
    )

    assert (article.id, article.url, article.body) == ("n-1", f"{SITE}/news/ferry", "The ferry sails.")
    assert (article.category, article.tags, article.authors) == ("News", ("Sea",), ("Ann",))


@pytest.mark.parametrize(
    ("attributes", "skipped", "refused"),
    [
        ({"status": False}, {"status: false": 1}, {}),
        ({"moderation_state": "draft"}, {"draft": 1}, {}),
        ({"status": None}, {}, {"may be a draft": 1}),
    ],
)
def test_nodes_of_drupal_that_are_not_public_are_skipped(
    read: Any, attributes: Any, skipped: Any, refused: Any
) -> None:
    other = DRUPAL | {"id": "n-2", "attributes": DRUPAL["attributes"] | attributes}

    report = read({"data": [DRUPAL, other, DRUPAL | {"type": "node--page"}]}).report

    assert report.skipped == {"node--page": 1} | skipped
    assert report.refused_by_reason == refused


def test_a_node_without_a_status_is_refused_unless_the_user_says_all_are_public(read: Any) -> None:
    node = DRUPAL | {"id": "n-2", "attributes": {"title": "Tram"}}

    assert read({"data": [DRUPAL, node]}).report.refused_by_reason == {"may be a draft": 1}
    assert len(read({"data": [node]}, decisions=Decisions.of({}, ["status"])).articles) == 1


@pytest.mark.parametrize(
    "entry",
    [
        {"id": 5, "attributes": STRAPI | {"category": {"data": {"id": 1, "attributes": {"name": "News"}}}}},
        {"id": 5, "documentId": "x", **STRAPI, "category": {"id": 1, "name": "News"}},
        {
            "id": 5,
            "attributes": STRAPI
            | {
                "content": [
                    {"type": "paragraph", "children": [{"type": "text", "text": "The ferry sails."}]}
                ],
                "category": "News",
            },
        },
    ],
)
def test_entries_of_strapi_are_read(read: Any, entry: Any) -> None:
    article = only(read({"data": [entry], "meta": {}}))

    assert (article.id, article.body, article.category) == ("5", "The ferry sails.", "News")


def test_entries_of_strapi_without_a_publication_date_are_drafts_or_refused(read: Any) -> None:
    absent = {key: value for key, value in STRAPI.items() if key != "publishedAt"}
    entries = [STRAPI, STRAPI | {"publishedAt": None}, absent]

    report = read({"data": [{"id": n, "attributes": entry} for n, entry in enumerate(entries)]}).report

    assert report.skipped == {"draft": 1}
    assert report.refused_by_reason == {"may be a draft": 1}
    assert "--not-visibility publishedAt" in report.refused[0].detail


def test_items_of_a_json_feed_are_read(read: Any) -> None:
    item = {"id": "x", "url": f"{SITE}/x", "content_text": "1 < 2", "tags": ["News", "Sea"], "title": "Sums"}

    article = only(read({"version": "https://jsonfeed.org/version/1.1", "items": [item]}))

    assert (article.body, article.category, article.tags) == ("1 < 2", "News", ("Sea",))
