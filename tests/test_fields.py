"""Which rows are public, and how names are cleaned."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from recommender.fields import RowReader
from recommender.text import LANGUAGE_ALIASES
from recommender.training.readers.corpus import read_articles
from tests.support.corpora import jsonl

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "password", "kind"),
    [
        ("draft", "", "draft"),
        ("Private", "", "private"),
        ("trash", None, "trash"),
        ("publish", "secret", "password"),
        ("future", "", "future"),
    ],
)
def test_a_row_that_is_not_public_is_skipped(
    tmp_path: Path, status: object, password: str | None, kind: str
) -> None:
    public = {"id": "1", "title": "Open to all", "status": "publish", "post_password": ""}
    other = {"id": "2", "title": "Not yet", "status": status, "post_password": password}

    read = read_articles(jsonl(tmp_path / "export.jsonl", public, other), now=NOW)

    assert [article.id for article in read.articles] == ["1"]
    assert read.report.skipped == {kind: 1}


def test_a_scheduled_article_with_a_date_is_read(tmp_path: Path) -> None:
    row = {"id": "1", "title": "Tomorrow", "status": "future", "published_at": "2026-03-02T06:00:00Z"}

    read = read_articles(jsonl(tmp_path / "export.jsonl", row), now=NOW)

    assert [article.id for article in read.articles] == ["1"]


@pytest.mark.parametrize(("alias", "lang"), [*LANGUAGE_ALIASES.items(), ("nb-NO", "no"), ("de_AT", "de")])
def test_a_language_is_read_by_its_canonical_code(alias: str, lang: str) -> None:
    article, _ = RowReader(UTC, NOW).article({"id": 1, "title": "x", "lang": alias.upper()})

    assert article.lang == lang


def test_names_are_cleaned_and_only_names_of_ordinary_length_are_cached() -> None:
    ordinary, long = "A  &amp; B", "A &amp; B " * 30
    rows = [{"id": i, "title": "x", "category": long, "tags": [ordinary], "authors": ordinary} for i in "12"]

    (first, refused), (second, _) = (RowReader(UTC, NOW).article(row) for row in rows)

    assert (first.category, first.tags, refused) == ("A & B " * 29 + "A & B", ("A & B",), [])
    assert first.tags[0] is second.tags[0]
    assert first.authors is second.authors
    assert first.category == second.category
    assert first.category is not second.category


ITALIAN = (
    "Il consiglio comunale ha approvato martedì la nuova linea del tram fino al porto. I lavori iniziano "
    "in primavera e costeranno novanta milioni di euro, secondo il sindaco della città."
)
TRADITIONAL = "市議會週二批准了一條通往港口的新電車線路，工程將於春季開始。"


@pytest.mark.parametrize(
    ("stated", "lang"),
    [
        ({"lang": "en"}, "en"),
        ({"lang": "en", "default_lang": "it"}, "en"),
        ({"default_lang": "en-US"}, "it"),
        ({}, "it"),
    ],
)
def test_the_text_is_trusted_more_than_the_site_but_less_than_the_article(
    stated: dict[str, str], lang: str
) -> None:
    article, _ = RowReader(UTC, NOW).article({"id": 1, "body": ITALIAN} | stated)

    assert article.lang == lang


def test_a_short_text_has_the_language_of_its_site() -> None:
    article, _ = RowReader(UTC, NOW).article({"id": 1, "title": "Pasta e vino", "default_lang": "de_AT"})

    assert article.lang == "de"


@pytest.mark.parametrize("name", ["lang", "default_lang"])
def test_chinese_without_a_script_has_the_script_of_its_text(name: str) -> None:
    article, _ = RowReader(UTC, NOW).article({"id": 1, "title": TRADITIONAL, name: "zh"})
    short, _ = RowReader(UTC, NOW).article({"id": 1, "title": "abc", name: "zh"})

    assert (article.lang, short.lang) == ("zh-Hant", "zh")


def test_a_wrong_language_of_a_site_is_reported() -> None:
    _, refused = RowReader(UTC, NOW).article({"id": 1, "title": "x", "default_lang": "klingon"})

    assert [error.reason for error in refused] == ["default_lang: no two-letter language code"]
