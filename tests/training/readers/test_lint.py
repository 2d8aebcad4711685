"""Lint finds problems, reports where they are, and reads every readable file."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recommender.training.readers.corpus import CorpusError
from recommender.training.readers.lint import Finding, LintReport, lint

NOW = datetime(2025, 1, 1, tzinfo=UTC)
BODY = " ".join(f"word{n}" for n in range(40))


@pytest.fixture
def lint_of(tmp_path: Path) -> Any:
    """Return a function that lints rows, after completing each to a valid article."""

    def report(*rows: Any) -> LintReport:
        whole = [
            row
            if isinstance(row, str)
            else json.dumps(
                {
                    "id": n,
                    "title": f"Title {n}",
                    "body": f"{BODY} {n}",
                    "category": "News",
                    "lang": "en",
                    "published_at": "2024-01-01",
                }
                | row
            )
            for n, row in enumerate(rows, 1)
        ]
        (tmp_path / "rows.jsonl").write_text("\n".join(whole), encoding="utf-8")
        return lint(tmp_path / "rows.jsonl", now=NOW)

    return report


def finding_of(report: LintReport, kind: str) -> Finding:
    (finding,) = [finding for finding in report.findings if finding.kind == kind]
    return finding


def places(finding: Finding) -> list[int | None]:
    return [example.row for example in finding.examples]


def test_a_valid_corpus_has_no_findings(lint_of: Any) -> None:
    report = lint_of({}, {}, {})

    assert (report.rows_read, report.articles, report.findings) == (3, 3, ())


def test_refused_rows_are_findings_and_not_errors(lint_of: Any) -> None:
    report = lint_of({}, "not json", {"id": None}, {"id": 1}, {"id": True})

    kinds = {finding.kind: places(finding) for finding in report.findings}
    assert kinds == {
        "too many refused rows": [None],
        "not JSON": [2],
        "missing id": [3],
        "duplicate id": [4],
        "bad id": [5],
    }
    assert finding_of(report, "too many refused rows").examples[0].value == "4 of 5 rows, 80.0%"


def test_impossible_dates_are_shown_with_their_value(lint_of: Any) -> None:
    finding = finding_of(lint_of({}, {"published_at": "0001-01-01"}), "published_at: impossible date")

    assert (finding.count, places(finding)) == (1, [2])
    assert "'0001-01-01'" in finding.examples[0].value


def test_empty_and_thin_bodies_are_found(lint_of: Any) -> None:
    thirty = "word " * 30
    report = lint_of(
        {"body": ""},
        {"body": "x " * 5000 + "Only four words here."},
        {"body": thirty},
        {"body": thirty[5:]},
        {"body": "x " * 5000 + thirty},
    )

    assert places(finding_of(report, "empty body")) == [1]
    assert [example.value for example in finding_of(report, "thin body").examples] == [
        "2: Title 2 (words: 4)",
        "4: Title 4 (words: 29)",
    ]


def test_bodies_that_differ_in_case_and_space_only_are_duplicates(lint_of: Any) -> None:
    finding = finding_of(
        lint_of({"body": BODY}, {}, {"body": BODY.upper().replace(" ", "\n ")}), "duplicate body"
    )

    assert places(finding) == [3]
    assert finding.examples[0].value == "3: Title 3 (as 1)"


def test_empty_bodies_are_not_duplicates_of_each_other(lint_of: Any) -> None:
    assert [finding.kind for finding in lint_of({"body": ""}, {"body": ""}).findings] == ["empty body"]


def test_undated_and_uncategorized_articles_are_found(lint_of: Any) -> None:
    report = lint_of({"published_at": None}, {"category": ""})

    assert places(finding_of(report, "undated")) == [1]
    assert places(finding_of(report, "missing category")) == [2]


def test_a_mix_of_languages_is_found_with_examples_of_the_rarer_languages(lint_of: Any) -> None:
    report = lint_of({}, {}, {"lang": "de"}, {"lang": None, "title": "42", "body": "7"})

    assert [example.value for example in finding_of(report, "language mix").examples] == ["3: Title 3 (de)"]
    assert places(finding_of(report, "language not known")) == [4]


ENGLISH = (
    "The council voted on Monday to rebuild the old bridge over the river. Traders in the street fear for "
    "their sales, because the work will take two years and the road stays closed."
)


def test_a_text_in_another_language_than_stated_is_found(lint_of: Any) -> None:
    report = lint_of({}, {}, {"body": ENGLISH, "lang": "fr-FR"}, {"body": ENGLISH + " Again."})

    finding = finding_of(report, "language mix")

    assert [example.value for example in finding.examples] == ["3: Title 3 (fr, but the text is en)"]


def test_texts_that_contradict_their_site_are_found(tmp_path: Path) -> None:
    items = "".join(
        f"<item><guid>{guid}</guid><title>{guid}</title><description>{text}</description></item>"
        for guid, text in {"a": ENGLISH, "b": ENGLISH + " Again.", "c": "Kurz"}.items()
    )
    items += (
        f"<item><guid>d</guid><dc:language>en</dc:language><description>{ENGLISH} So.</description></item>"
    )
    feed = (
        "<rss version='2.0' xmlns:dc='http://purl.org/dc/elements/1.1/'><channel><language>de-DE</language>"
        f"{items}</channel></rss>"
    )
    (tmp_path / "feed.rss").write_text(feed)

    finding = finding_of(lint(tmp_path, now=NOW), "language mix")

    assert [example.value for example in finding.examples] == [
        "a: a (en, but the site states de)",
        "b: b (en, but the site states de)",
        "c: c (de)",
    ]


def test_unknown_columns_are_found_with_their_number_of_rows(lint_of: Any) -> None:
    finding = finding_of(lint_of({"mood": 1}, {"mood": 2, "shape": [1]}), "unknown columns")

    assert [example.value for example in finding.examples] == ["mood (2 rows)", "shape (1 rows)"]


def test_a_line_that_recurs_in_five_articles_is_boilerplate(lint_of: Any) -> None:
    sign_up = "Sign up for our newsletter. " * 5
    rows = [{"body": f"{BODY} {n}\n {sign_up} \nShare this"} for n in range(4)]

    assert not lint_of(*rows).findings
    finding = finding_of(lint_of(*rows, {"body": f"{sign_up}\n{BODY} {sign_up}"}), "boilerplate line")

    assert finding.count == 1
    assert finding.examples[0].value == f"{sign_up[:80]} (in 5 articles)"


def test_copies_of_one_article_do_not_make_its_lines_boilerplate(lint_of: Any) -> None:
    report = lint_of(*({"body": BODY} for _ in range(6)))

    assert [finding.kind for finding in report.findings] == ["duplicate body"]


def test_only_the_first_examples_are_shown_and_all_are_counted(lint_of: Any) -> None:
    finding = finding_of(lint_of(*({"published_at": None} for _ in range(30))), "undated")

    assert (finding.count, len(finding.examples)) == (30, 10)


def test_an_empty_corpus_is_a_report_without_articles(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()

    assert lint(tmp_path / "empty.jsonl").rows_read == 0


def test_a_file_that_cannot_be_read_at_all_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")

    with pytest.raises(CorpusError, match=r"cut\.parquet"):
        lint(tmp_path / "cut.parquet")
