"""The demo pages: article, section and search pages, without repeated articles."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from recommender.article import Article
from recommender.artifact import publish
from recommender.serving.app import create_app
from recommender.settings import Settings
from tests.support.newsroom import NOW, build_model

PAGES = [
    "/demo/",
    "/demo/article?id=a%2Frelated",
    "/demo/section?name=politics",
    "/demo/search?q=storm",
    "/demo/search",
    "/demo/article?id=nobody",
]


class _Page(HTMLParser):
    """The tags, headings and link targets of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.headings: list[tuple[int, str]] = []
        self.links: list[str] = []
        self.attributes: list[str] = []
        self._heading = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        self.links += [value or "" for name, value in attrs if name in {"href", "src", "action"}]
        if re.fullmatch("h[1-6]", tag):
            self._heading = int(tag[1])
            self.headings.append((self._heading, ""))

    def handle_endtag(self, tag: str) -> None:
        if re.fullmatch("h[1-6]", tag):
            self._heading = 0

    def handle_data(self, data: str) -> None:
        if self._heading:
            level, text = self.headings[-1]
            self.headings[-1] = (level, (text + data).strip())


def test_a_related_post_lists_the_shared_words(client: FlaskClient) -> None:
    text = client.get("/demo/article?id=a").text
    words = re.findall(r'<li class="word"><span dir="auto">([^<]*)<', text.split('class="reasons"')[1])

    assert {"dredging", "harbour"} <= set(words)
    assert '<span class="note">Recent</span>' in text


def test_the_front_page_shows_the_newest_article_in_the_main_language_first(client: FlaskClient) -> None:
    text = client.get("/demo/").text
    page = _Page(text)

    assert page.headings[1] == (2, "Storm inquiry opens")
    stories = re.findall(r'data-id="([^"]*)"', text)
    assert len(stories) == len(set(stories))


def test_an_article_page_has_the_lists_of_the_page_endpoint_and_no_title_twice(client: FlaskClient) -> None:
    page = _Page(client.get("/demo/article?id=9").text)

    titles = [text for level, text in page.headings if level in {1, 3}]
    answer = client.get("/v1/page?id=9").get_json()
    items = answer["related"]["items"] + answer["trending"]["items"]
    assert titles[1:] == [item["title"] for item in items]
    assert len(titles) == len(set(titles))


def test_previous_and_next_are_those_of_the_page_endpoint(client: FlaskClient) -> None:
    text = client.get("/demo/article?id=9&").text
    answer = client.get("/v1/page?id=9").get_json()

    shown = re.findall(r'<p class="(older|newer)" data-id="([^"]*)"', text)
    expected = {"older": answer["previous"], "newer": answer["next"]}
    assert shown == [(direction, item["id"]) for direction, item in expected.items() if item is not None]


def test_an_article_page_shows_author_date_and_reading_time(client: FlaskClient) -> None:
    text = client.get("/demo/article?id=9").text

    assert "20 February 2026" in text
    assert "5 sec read" in text
    assert "No other stories were read recently" in text
    assert '<html lang="en">' in text


def test_a_section_page_is_found_by_name_or_slug(client: FlaskClient) -> None:
    page = _Page(client.get("/demo/section?name=environment").text)

    assert page.headings[0] == (1, "Environment")
    assert (2, "Sturmflut an der Küste") in page.headings


def test_a_search_shows_matching_articles(client: FlaskClient) -> None:
    page = _Page(client.get("/demo/search?q=lighthouse").text)

    assert "Lighthouse repaired" in [text for level, text in page.headings if level == 2]


def test_a_search_without_results_suggests_sections(client: FlaskClient) -> None:
    response = client.get("/demo/search?q=qwertz")

    assert response.status_code == 200
    assert "No stories match these words" in response.text
    assert "/demo/section?name=Politics" in response.text


@pytest.mark.parametrize("path", ["/demo/article?id=nobody", "/demo/section?name=none", "/demo/article"])
def test_an_unknown_article_or_section_gets_a_page_with_status_404(client: FlaskClient, path: str) -> None:
    response = client.get(path)

    assert response.status_code == 404
    assert response.mimetype == "text/html"


def test_texts_of_readers_and_authors_are_escaped(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    article = Article(
        id=f"1&{hostile}", title=hostile, body=f"{hostile} in a story", category=hostile, authors=(hostile,)
    )
    publish(build_model([article, Article(id="2", title="Two")]), tmp_path, now=NOW)
    client = create_app(Settings(models_dir=tmp_path, site_name=hostile), clock=lambda: NOW).test_client()

    for path in (f"/demo/article?id={quote(article.id)}", f"/demo/search?q={quote(hostile)}", "/demo/"):
        assert hostile not in client.get(path).text


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_complete_and_accessible_and_loads_nothing_from_other_hosts(
    client: FlaskClient, path: str
) -> None:
    html = client.get(path).text
    page = _Page(html)

    assert html.startswith("<!doctype html>")
    assert {"header", "nav", "main", "footer", "label"} <= set(page.tags)
    assert not {"style", "iframe", "img"} & set(page.tags)
    assert not [name for name in page.attributes if name == "style" or name.startswith("on")]
    assert re.findall(r"<script[^>]*>([^<]*)", html) == [""]
    assert all(link.startswith(("/demo", "#")) for link in page.links)
    levels = [level for level, _ in page.headings]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip([0, *levels], levels, strict=False))


@pytest.mark.parametrize("path", PAGES)
def test_a_page_allows_only_scripts_and_requests_of_this_service(client: FlaskClient, path: str) -> None:
    policy = dict(
        directive.split(" ", 1)
        for directive in client.get(path).headers["Content-Security-Policy"].split("; ")
    )

    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == policy["style-src"] == "'self'"


def test_every_imported_script_exists(client: FlaskClient) -> None:
    with client.get("/demo/static/site.js") as response:
        imported = re.findall(r'from "\./(\w+\.js)"', response.get_data(as_text=True))

    assert len(imported) == 5
    for name in imported:
        with client.get(f"/demo/static/{name}") as response:
            assert response.status_code == 200
            assert "javascript" in (response.mimetype or "")


def test_a_search_shows_the_number_of_matching_stories(client: FlaskClient) -> None:
    eligible = client.get("/v1/search?q=harbour").get_json()["eligible"]

    assert f">{eligible} stories, best matches first<" in client.get("/demo/search?q=harbour").text


def test_a_section_page_shows_no_article_twice(client: FlaskClient) -> None:
    page = _Page(client.get("/demo/section?name=politics").text)

    titles = [text for level, text in page.headings if level in {2, 3}]
    assert len(titles) == len(set(titles)) > 8


def test_every_link_of_a_page_works(client: FlaskClient) -> None:
    for link in {link for path in PAGES for link in _Page(client.get(path).text).links if link[0] == "/"}:
        with client.get(link) as response:
            assert response.status_code == 200, link


def test_an_article_without_a_title_gets_its_first_words_as_headline(tmp_path: Path) -> None:
    publish(build_model([Article(id="1", body="One word after another. " * 20)]), tmp_path, now=NOW)
    client = create_app(Settings(models_dir=tmp_path), clock=lambda: NOW).test_client()

    headline = _Page(client.get("/demo/").text).headings[1][1]

    assert headline.startswith("One word after another.")
    assert headline.endswith("\u2026")
    assert len(headline) <= 91
