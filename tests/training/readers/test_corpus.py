"""Which rows of a corpus are read, which are refused, and what is reported."""

import math
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recommender.article import Article
from recommender.training.readers.corpus import Corpus, CorpusError, read_articles
from tests.support.corpora import jsonl

NEWSROOM = Path(__file__).parents[2] / "data"
NOW = datetime(2025, 1, 1, tzinfo=UTC)


def read(*paths: str | Path, max_bad: float = 1, **options: Any) -> Corpus:
    return read_articles(*paths, max_bad=max_bad, now=NOW, **options)


@pytest.fixture
def corpus_of(tmp_path: Path) -> Any:
    """Return a function that reads rows, after adding a missing id and title."""

    def corpus(*rows: dict[str, Any], **options: Any) -> Corpus:
        complete = ({"id": str(n), "title": "A title", "lang": "en"} | row for n, row in enumerate(rows, 1))
        return read(jsonl(tmp_path / "rows.jsonl", *complete), **options)

    return corpus


def article_of(corpus: Corpus) -> Article:
    (article,) = corpus.articles
    return article


def test_missing_paths_are_refused_with_the_possible_formats() -> None:
    with pytest.raises(CorpusError, match=r"no corpus given; pass a \.jsonl"):
        read_articles()


def test_a_missing_file_is_named() -> None:
    with pytest.raises(CorpusError, match=r"/no/such\.jsonl does not exist"):
        read("/no/such.jsonl")


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = jsonl(tmp_path / "secret.jsonl", {"id": 1, "title": "One"})

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read every file
    with pytest.raises(CorpusError, match=r"secret\.jsonl is not readable by this user"):
        read(path)


@pytest.mark.parametrize("name", ["empty.jsonl", "empty.csv"])
def test_an_empty_corpus_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()

    with pytest.raises(CorpusError, match=rf"no article in .*{name}: 0 rows read"):
        read(tmp_path / name)


def test_an_empty_file_beside_another_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    jsonl(tmp_path / "b.jsonl", {"id": 1, "title": "One"})

    assert list(read(tmp_path).report.files.values()) == [0, 1]


def test_a_folder_means_its_corpus_files_in_order(tmp_path: Path) -> None:
    jsonl(tmp_path / "b.jsonl", {"id": "b", "title": "One"})
    (tmp_path / "a.csv").write_text("id,title\na,Two\n")
    for name in ("README.md", ".hidden.jsonl", "notes.txt"):
        (tmp_path / name).write_text("not read")

    report = read(tmp_path).report

    assert report.files == {str(tmp_path / "a.csv"): 1, str(tmp_path / "b.jsonl"): 1}


def test_a_folder_without_corpus_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"contains no corpus file \(\.jsonl"):
        read(tmp_path)


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", {"id": 1, "title": "One"})

    assert read(path, tmp_path, str(path)).report.rows_read == 1


def test_articles_come_in_the_order_of_their_ids_bytes(corpus_of: Any) -> None:
    ids = ["b", "a,b", "日本 🗞", "10", "9", "É", "\uffee", "a/related"]

    ids_read = [article.id for article in corpus_of(*({"id": name} for name in ids)).articles]

    assert ids_read == sorted(ids, key=str.encode)


def test_integer_ids_become_decimal_strings(corpus_of: Any) -> None:
    assert article_of(corpus_of({"id": 12345678901234567890})).id == "12345678901234567890"


@pytest.mark.parametrize(
    ("value", "reason", "detail"),
    [
        (None, "missing id", "no id"),
        ("", "missing id", "no id"),
        (math.nan, "missing id", "no id"),
        (True, "bad id", "True (bool)"),
        (12.0, "bad id", "12.0 (float)"),
        (["7"], "bad id", "['7'] (list)"),
        ("..", "bad id", "'..'"),
        ("a\0b", "bad id", "NUL"),
        ("a\ud800", "bad id", r"'a\ud800' contains a lone surrogate"),
        ("x" * 513, "bad id", "513 bytes"),
    ],
)
def test_a_row_without_a_valid_id_is_refused_with_the_value(
    corpus_of: Any, value: object, reason: str, detail: str
) -> None:
    report = corpus_of({"id": "good"}, {"id": value}).report

    (refusal,) = report.refused
    assert (refusal.row, refusal.reason, refusal.article_id) == (2, reason, None)
    assert detail in refusal.detail


@pytest.mark.parametrize("name", ["title", "body"])
def test_a_text_of_the_wrong_type_refuses_the_row(corpus_of: Any, name: str) -> None:
    (refusal,) = corpus_of({}, {name: {"raw": "x"}}).report.refused

    assert refusal.reason == f"{name}: wrong type"
    assert refusal.detail == f"{name} is {{'raw': 'x'}} (dict); it must be text"


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("category", 5, "wrong type"),
        ("tags", {"a": 1}, "wrong type"),
        ("authors", ["Ann", 3], "wrong type"),
        ("url", 3.5, "wrong type"),
        ("url", "javascript:alert(1)", "no web address"),
        ("url", "www.example.org/x", "no web address"),
        ("image_url", "data:image/png;base64,AAAA", "no web address"),
        ("url", "http://[half", "no web address"),
        ("url", "https://example.org/\n", ""),
        ("url", "/a\nb", "no web address"),
        ("lang", "English", "no two-letter language code"),
        ("updated_at", True, "wrong type"),
        ("updated_at", "yesterday", "impossible date"),
        ("updated_at", "0001-01-01T00:00:00", "impossible date"),
        ("updated_at", "2124-05-01", "impossible date"),
    ],
)
def test_another_invalid_field_is_refused_without_its_row(
    corpus_of: Any, field: str, value: object, reason: str
) -> None:
    corpus = corpus_of({field: value})

    if not reason:
        assert not corpus.report.fields_refused
        return
    (refusal,) = corpus.report.refused_fields
    assert corpus.report.fields_refused == {f"{field}: {reason}": 1}
    assert getattr(article_of(corpus), field) in (None, (), "en")
    assert repr(value)[:40] in refusal.detail


@pytest.mark.parametrize("status", ["publish", "scheduled", ""])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("yesterday", "impossible date"), ("24.12.26 6 Uhr", "impossible date"), (True, "wrong type"),
        ("0000-00-00 00:00:00", "impossible date"), ("0", "impossible date"), (17, "impossible date"),
        (["2024", "2025"], "impossible date"), ("46271.679166", "impossible date"),
        ("2024-02-30", "impossible date"), ({}, "impossible date"),
    ],
)  # fmt: skip
def test_a_row_is_refused_if_its_publication_date_cannot_be_read(
    corpus_of: Any, status: str, value: object, reason: str
) -> None:
    corpus = corpus_of({}, {"id": "2", "published_at": value, "status": status}, max_bad=0.5)

    (refusal,) = corpus.report.refused
    assert [article.id for article in corpus.articles] == ["1"]
    assert (refusal.row, refusal.article_id, refusal.reason) == (2, "2", f"published_at: {reason}")
    with pytest.raises(CorpusError, match="1 of 2 rows are refused"):
        corpus_of({}, {"id": "2", "published_at": value, "status": status}, max_bad=0.05)


@pytest.mark.parametrize(
    "url", ["https://example.org/a", "HTTP://example.org", "//cdn.example.org/i.png", "/2024/x"]
)
def test_web_addresses_are_unchanged(corpus_of: Any, url: str) -> None:
    assert article_of(corpus_of({"url": f" {url} "})).url == url


def test_an_article_needs_a_title_or_a_body(corpus_of: Any) -> None:
    corpus = corpus_of(
        {"body": ""}, {"title": "", "body": "Only text."}, {"title": "<b> </b>", "body": "\ud800"}
    )

    assert [(article.title, article.body) for article in corpus.articles] == [
        ("A title", ""),
        ("", "Only text."),
    ]
    assert [(at.row, at.article_id, at.reason) for at in corpus.report.refused] == [
        (3, "3", "neither title nor body")
    ]


def test_html_becomes_text_in_title_body_and_names(corpus_of: Any) -> None:
    row = {
        "title": "<b>Rain</b> &amp;\nwind",
        "body": "<p>One\0</p><p>Two\ud800</p>",
        "category": "Science &amp; Tech",
    }

    article = article_of(corpus_of(row))

    assert (article.title, article.body, article.category) == ("Rain & wind", "One\n\nTwo", "Science & Tech")


def test_names_in_a_text_are_separated_by_bars_and_semicolons_but_not_commas(corpus_of: Any) -> None:
    article = article_of(
        corpus_of({"authors": "Okafor, Ben; Ann Lee | Ann Lee", "tags": ["a;b", " ", "c|d"]})
    )

    assert article.authors == ("Okafor, Ben", "Ann Lee")
    assert article.tags == ("a;b", "c|d")


@pytest.mark.parametrize(
    ("row", "categories"),
    [
        ({"category": "Sport", "categories": ["News", "Sport"]}, ("Sport", "News")),
        ({"category": "Sport"}, ("Sport",)),
        ({"categories": "News|Sport"}, ("News", "Sport")),
        ({"category": " ", "categories": []}, ()),
    ],
)
def test_the_primary_category_comes_first(corpus_of: Any, row: Any, categories: tuple[str, ...]) -> None:
    article = article_of(corpus_of(row))

    assert article.categories == categories
    assert article.category == (categories[0] if categories else None)


@pytest.mark.parametrize(
    ("given", "lang"), [("en-US", "en"), ("PT_br", "pt"), ("nb-NO", "no"), (" DE ", "de")]
)
def test_languages_are_two_lower_case_letters(corpus_of: Any, given: str, lang: str) -> None:
    assert article_of(corpus_of({"lang": given})).lang == lang


@pytest.mark.parametrize("given", [None, "", "und", "German"])
def test_a_missing_language_is_detected(corpus_of: Any, given: str | None) -> None:
    body = "Der Stadtrat hat am Montag beschlossen, die Mauer am Hafen zu erhöhen."

    assert article_of(corpus_of({"lang": given, "title": "", "body": body})).lang == "de"


def test_the_language_of_too_little_text_is_unknown(corpus_of: Any) -> None:
    assert article_of(corpus_of({"lang": None, "title": "42"})).lang is None


def test_naive_dates_are_in_the_timezone_given(corpus_of: Any) -> None:
    row = {"published_at": "2024-01-15 08:00", "updated_at": "2024-01-15T08:00:00+02:00"}

    article = article_of(corpus_of(row, timezone="America/New_York"))

    assert article.published_at == datetime(2024, 1, 15, 13, tzinfo=UTC)
    assert article.updated_at == datetime(2024, 1, 15, 6, tzinfo=UTC)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "/etc/passwd", "Europe"])
def test_an_unknown_timezone_is_named(corpus_of: Any, name: str) -> None:
    with pytest.raises(CorpusError, match=f"unknown timezone '{name}'"):
        corpus_of({}, timezone=name)


def test_an_unknown_column_in_the_mapping_is_named(corpus_of: Any) -> None:
    with pytest.raises(CorpusError, match="no column 'text' to map; the columns are id title body"):
        corpus_of({}, columns={"text": "body"})


def test_the_prefix_is_prepended_to_every_id(corpus_of: Any) -> None:
    assert article_of(corpus_of({"id": 7}, id_prefix="site-")).id == "site-7"


def test_of_rows_with_one_id_the_newest_is_used(corpus_of: Any) -> None:
    rows = [
        {"id": "a", "title": "old", "updated_at": "2024-01-01"},
        {"id": "a", "title": "newest", "updated_at": "2024-03-01"},
        {"id": "a", "title": "undated"},
    ]

    corpus = corpus_of(*rows)

    assert article_of(corpus).title == "newest"
    assert [refusal.row for refusal in corpus.report.refused] == [1, 3]
    assert all("row 2 of" in refusal.detail for refusal in corpus.report.refused)
    assert corpus.report.refused_by_reason == {"duplicate id": 2}


def test_of_rows_with_one_id_and_no_update_the_first_is_used(corpus_of: Any) -> None:
    assert article_of(corpus_of({"id": "a", "title": "one"}, {"id": "a", "title": "two"})).title == "one"


def test_the_used_row_is_named_with_its_file(tmp_path: Path) -> None:
    first = jsonl(tmp_path / "first.jsonl", {"id": "a", "title": "One"})
    second = jsonl(tmp_path / "second.jsonl", {"id": "b", "title": "Two"}, {"id": "a", "title": "Three"})

    (refusal,) = read(first, second).report.refused

    assert (refusal.source, refusal.row) == (str(second), 2)
    assert refusal.detail == f"row 1 of {first} is used for 'a'"


def test_one_bad_row_among_many_is_only_counted(corpus_of: Any) -> None:
    corpus = corpus_of(*({} for _ in range(19)), {"id": None}, max_bad=0.05)

    assert (len(corpus.articles), corpus.report.rows_read) == (19, 20)


def test_too_many_bad_rows_are_refused_with_the_most_common_reasons_and_rows(corpus_of: Any) -> None:
    bad = [{"id": None}, {"id": None}, {"title": 5}, {"id": ".."}, {"title": ""}, {"id": None}]

    with pytest.raises(CorpusError) as caught:
        corpus_of(*({} for _ in range(6)), *bad, max_bad=0.05)

    message = str(caught.value)
    assert message.startswith(
        "6 of 12 rows are refused (50.0%, more than the 5.0% allowed): missing id (3: row 7 of"
    )
    assert "title: wrong type (1: row 9 of" in message
    assert "row 12 of" in message
    assert message.count(" (1: row ") == 2  # the three commonest of four reasons


@pytest.mark.parametrize("share", [-0.1, 5, math.nan])
def test_a_share_of_bad_rows_outside_0_to_1_is_refused(corpus_of: Any, share: float) -> None:
    with pytest.raises(CorpusError, match=f"max_bad is {share}"):
        corpus_of({}, max_bad=share)


def test_all_refusals_are_counted_and_only_the_first_examples_stored(corpus_of: Any) -> None:
    report = corpus_of({}, *({"id": None, "mood": n} for n in range(50))).report

    assert (len(report.refused), report.refused_by_reason["missing id"]) == (20, 50)
    assert report.refused_rows + 1 == report.rows_read == 51


def test_the_number_of_stored_unknown_columns_is_limited(corpus_of: Any) -> None:
    report = corpus_of(*({f"column {n}": 1} for n in range(1200))).report

    assert len(report.unknown_columns) == 1000


def test_progress_reports_the_rows_read_and_the_total(tmp_path: Path) -> None:
    rows = [{"id": n, "title": "A title", "lang": "en"} for n in range(1200)]
    calls: list[tuple[int, int]] = []

    read(jsonl(tmp_path / "a.jsonl", *rows), progress=lambda done, total: calls.append((done, total)))

    assert calls == [(500, 0), (1000, 0), (1200, 0)]


def test_formats_can_be_mixed_in_one_corpus(tmp_path: Path) -> None:
    for name in ("newsroom.jsonl", "newsroom.xml"):
        shutil.copy(NEWSROOM / name, tmp_path)

    assert [article.id for article in read(tmp_path).articles] == ["101", "102", "11", "12", "stadt/103"]
