"""Variants of a page's URL lead to its article, and different articles stay apart."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recommender.article import Article, canonical_url
from recommender.columns import Strings
from recommender.model import Articles
from recommender.page_urls import page_key

PAGE = "https://www.paper.example/2026/tram-strike/"


@pytest.mark.parametrize(
    "variant",
    [
        f"{PAGE}?UTM_Source=x&fbclid=1&gclid=2&gbraid=3&wbraid=4&msclkid=5&dclid=6",
        f"{PAGE}?mc_cid=1&mc_eid=2&_ga=3&_gl=4&igshid=5&ref=home&srsltid=6",
        f"{PAGE}?utm_source=x&amp;utm_medium=y",
        f"{PAGE}?pk_campaign=a&mtm_kwd=b&at_medium=c&xtor=d",
        f"{PAGE}?amp",
        f"{PAGE}?outputType=amp",
        f"{PAGE}amp/",
        f"{PAGE}amp/index.html?ref=x",
        "https://paper.example/2026/tram-strike.amp",
        "https://paper.example/amp/2026/tram-strike",
        "https://paper.example//2026/tram-strike/index.php",
        "https://AMP.paper.example:443/2026/tram-strike",
        "http://m.paper.example/2026/tram-strike#comments",
        "https://www.mobile.paper.example/2026/tram-strike",
        "paper.example/2026/tram-strike",
        "https://www-paper-example.cdn.ampproject.org/v/s/www.paper.example/2026/tram-strike/amp/?usqp=x",
        "https://www.google.co.uk/amp/s/m.paper.example/2026/tram-strike/",
    ],
)
def test_a_variant_has_the_key_of_its_page(variant: str) -> None:
    assert page_key(variant) == page_key(PAGE) == "paper.example/2026/tram-strike"


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("https://paper.example/?p=12", "https://paper.example/?p=13"),
        ("https://paper.example/a.html?amp=1&id=1", "https://paper.example/a.html?id=2"),
        ("https://sport.paper.example/a", "https://paper.example/a"),
        ("https://paper.example/amplifier", "https://paper.example/lifier"),
        ("https://paper.example/a/2", "https://paper.example/a"),
        ("https://m.example/a", "https://example/a"),
        ("https://paper.example/A", "https://paper.example/a"),
        ("https://paper.example/a?reference=1", "https://paper.example/a"),
    ],
)
def test_different_pages_keep_different_keys(url: str, other: str) -> None:
    assert page_key(url) != page_key(other)


PARTS = st.sampled_from(["amp", "index.html", "a.amp", ".amp", "x", "", "AMP", "amp.html", "2", "a.amp.html"])
QUERIES = st.sampled_from(["", "?", "?amp", "?p=1&ref=2", "?a=%26amp;ref=1", "?utm_x=1&b", "?output=amp"])
HOSTS = st.sampled_from(["m.amp.a.example", "www.a.example", "amp.dev", "x.cdn.ampproject.org", "a", ""])


@given(HOSTS, st.lists(PARTS, max_size=5), QUERIES)
def test_the_key_of_a_key_is_the_same_key(host: str, parts: list[str], query: str) -> None:
    key = page_key("https://" + "/".join([host, *parts]) + query)

    assert page_key(key) == canonical_url(key) == key


WORDS = st.sampled_from(
    ["index.html", "default.aspx", "index", "www.x", "m", "wap.", "M.", "Touch.x", "é", "ﬀ"]
)


@given(HOSTS | st.sampled_from(["a.org", "wap.a.org", "x.touch.a.org"]), st.lists(PARTS | WORDS))
@example("a.org", ["x", "index.html"])
@example("a.org", ["Default.aspx"])
@example("a.org", ["x", "", "y"])
@example("mobile.a.org", ["x"])
def test_a_parameter_that_is_dropped_changes_no_key(host: str, parts: list[str]) -> None:
    url = "https://" + "/".join([host, *parts])

    assert page_key(f"{url}?fbclid=1") == page_key(url)


def articles(*urls: str) -> Articles:
    return Articles.of([Article(id=f"a{number}", title="Title", url=url) for number, url in enumerate(urls)])


def test_a_parameter_that_tells_articles_apart_still_does() -> None:
    found = articles("https://a.example/story?ref=1", "https://a.example/story?ref=2", "https://a.example/x")

    assert [found.find_url(f"https://a.example/story?ref={ref}") for ref in (1, 2, 3)] == [0, 1, None]
    assert found.find_url("https://a.example/x?ref=1") == 2


def test_an_article_and_its_amp_page_as_an_article_of_its_own_are_both_found() -> None:
    found = articles("https://a.example/x/amp/", "https://a.example/x/")

    assert found.find_url("https://a.example/x/amp") == 0
    assert found.find_url("https://a.example/x?fbclid=1") == 1
    assert found.find_url("https://amp.a.example/x/amp/") == 1


def test_a_variant_as_the_address_of_an_article_is_found_by_the_page() -> None:
    found = articles("https://m.a.example/x/?fbclid=1")

    assert found.find_url("https://www.a.example/x") == 0


def test_an_older_model_without_page_keys_finds_what_it_found_and_variants_of_plain_urls() -> None:
    urls = ["https://a.example/x", "https://m.a.example/y?ref=1"]
    keys = sorted(canonical_url(url) for url in urls)
    older = replace(articles(*urls), url_keys=Strings.of(keys))

    assert [older.find_url(url) for url in urls] == [0, 1]
    assert older.find_url("https://amp.a.example/x/?gclid=1") == 0


def test_a_cache_behind_a_variant_is_removed_too() -> None:
    assert page_key("https://x.cdn.ampproject.org/amp/c/s/paper.example/a.amp") == "paper.example/a"
