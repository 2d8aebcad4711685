"""Which rows are public: every reader and spelling fails closed, and undecided values stop the run."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recommender.training.readers.corpus import Corpus, CorpusError, read_articles
from recommender.visibility import Decisions, UndecidedError, verdict, why_hidden
from tests.support.corpora import jsonl

NOW = datetime(2026, 12, 1, tzinfo=UTC)
FORMATS = ["jsonl", "csv", "parquet"]


def file_of(folder: Path, kind: str, column: str, values: list[Any], name: str = "export") -> Path:
    """Write articles numbered from 1 with this column in a format."""
    rows = [{"id": str(n), "title": f"Title {n}", column: value} for n, value in enumerate(values, 1)]
    path = folder / f"{name}.{kind}"
    if kind == "jsonl":
        return jsonl(path, *rows)
    if kind == "csv":
        lines = [f"{row['id']},{row['title']},{'' if row[column] is None else row[column]}" for row in rows]
        path.write_text("\n".join([f"id,title,{column}", *lines]), encoding="utf-8")
        return path
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def read(*paths: Path, public: dict[str, list[str]] | None = None, ignored: tuple[str, ...] = ()) -> Corpus:
    return read_articles(*paths, now=NOW, decisions=Decisions.of(public or {}, ignored))


def ids(corpus: Corpus) -> list[str]:
    return [article.id for article in corpus.articles]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("column", "public", "hidden", "reason"),
    [
        ("Status", "publish", "draft", "draft"),
        ("Post Status", "Published", "Pending", "pending"),
        ("post_status", "publish", "auto-draft", "auto-draft"),
        ("POST-STATUS", "publish", "private", "private"),
        ("postStatus", "publish", "in_review", "in_review"),
        ("State", "live", "unpublished", "unpublished"),
        ("visibility", "public", "hidden", "hidden"),
        ("Published", "1", "0", "published: 0"),
        ("is_published", "true", "False", "ispublished: false"),
        ("Is Published", "yes", "no", "ispublished: no"),
        ("draft", "0", "1", "draft: 1"),
        ("Private", "FALSE", "TRUE", "private: true"),
        ("Post Password", "", "secret1", "password"),
        ("PASSWORD", "", "0", "password"),
        ("workflow state", "published", "Entwurf", "entwurf"),
        ("isDraft", "n", "y", "isdraft: y"),
        ("Visible", "Yes", "No", "visible: no"),
        ("  Post  Status ", " Publish ", " Draft", "draft"),
        ("ＳＴＡＴＵＳ", "publish", "Auto_Draft", "auto_draft"),
        ("hidden", "", "x", "hidden: x"),
    ],
)
def test_a_hidden_row_is_skipped_in_any_spelling(
    tmp_path: Path, kind: str, column: str, public: str, hidden: str, reason: str
) -> None:
    corpus = read(file_of(tmp_path, kind, column, [public, hidden]))

    assert ids(corpus) == ["1"]
    assert corpus.report.skipped == {reason: 1}


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_flags_may_be_booleans_and_numbers(tmp_path: Path, kind: str) -> None:
    assert ids(read(file_of(tmp_path, kind, "published", [True, False]))) == ["1"]
    assert ids(read(file_of(tmp_path, kind, "is_published", [1.0, 0.0]))) == ["1"]
    assert ids(read(file_of(tmp_path, kind, "draft", [1, 0]))) == ["2"]
    assert ids(read(file_of(tmp_path, kind, "status", [[{"value": "publish"}], [{"value": "draft"}]]))) == [
        "1"
    ]


def test_every_column_can_hide_a_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "id,title,status,Status,draft\n1,A,publish,publish,0\n2,B,publish,draft,0"
    )

    assert ids(read(tmp_path / "a.csv")) == ["1"]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_column_about_something_else_does_not_count(tmp_path: Path, kind: str) -> None:
    for column, values in {"state": ["Ohio", "Texas"], "published": ["Springer", "Elsevier"]}.items():
        corpus = read(file_of(tmp_path, kind, column, values))

        assert (ids(corpus), corpus.report.skipped) == (["1", "2"], {})


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("column", "values", "undecided"),
    [
        ("Status", ["publish", "Zu prüfen"], "'zu prüfen' (1 rows, first row "),
        ("state", ["Ohio", "Texas", "draft"], "'ohio'"),
        ("state", ["draft", "Ohio"], "'ohio'"),
        ("status", ["1", "0"], "'1'"),
        ("post_status", ["Freigegeben", "Freigegeben"], "'freigegeben' (2 rows"),
        ("visibility", ["public", "members"], "'members'"),
        ("published", ["checked", ""], "'' (1 rows"),
        ("published", ["2026-11-01", "soon"], "'soon'"),
        ("is_draft", ["no", "maybe"], "'maybe'"),
    ],
)
def test_an_undecided_value_stops_the_run(
    tmp_path: Path, kind: str, column: str, values: list[str], undecided: str
) -> None:
    with pytest.raises(UndecidedError) as error:
        read(file_of(tmp_path, kind, column, values))

    assert f"column {column!r}" in str(error.value)
    assert undecided in str(error.value)
    assert ("--map published_at=" if "soon" in values else "--public") in str(error.value)
    assert f"--not-visibility {column}" in str(error.value)


def test_a_word_in_one_file_makes_the_column_count_in_all(tmp_path: Path) -> None:
    file_of(tmp_path, "jsonl", "state", ["pitched"], name="1")
    file_of(tmp_path, "csv", "State", ["draft", "publish"], name="2")
    with pytest.raises(UndecidedError, match="'pitched'"):
        read(tmp_path)


def test_the_user_decides(tmp_path: Path) -> None:
    status = file_of(tmp_path, "csv", "Status", ["publish", "1", "0", "whatever", ""])

    assert ids(read(status, public={"status": ["Publish", "1"]})) == ["1", "2"]
    assert ids(read(status, ignored=("STATUS",))) == ["1", "2", "3", "4", "5"]

    stage = file_of(tmp_path, "csv", "Stage", ["done", "desk"], name="stage")
    assert ids(read(stage, public={"stage": ["done"]})) == ["1"]


def test_a_listed_column_that_no_row_has_is_an_error(tmp_path: Path) -> None:
    path = file_of(tmp_path, "csv", "status", ["publish"])
    with pytest.raises(UndecidedError, match="no row has a column 'stauts'"):
        read(path, public={"stauts": ["publish"]})


def test_a_date_in_the_column_published_is_the_publication_date(tmp_path: Path) -> None:
    corpus = read(file_of(tmp_path, "csv", "Published", ["2026-11-01T08:00:00Z", "2026-12-24", ""]))

    moments = [article.published_at for article in corpus.articles]
    assert moments == [datetime(2026, 11, 1, 8, tzinfo=UTC), datetime(2026, 12, 24, tzinfo=UTC), None]


def test_a_mapped_column_means_what_the_map_says(tmp_path: Path) -> None:
    path = file_of(tmp_path, "csv", "State", ["draft", "Ohio"])

    assert ids(read_articles(path, now=NOW, columns={"category": "State"})) == ["1", "2"]
    with pytest.raises(UndecidedError, match="'ohio'"):
        read_articles(path, now=NOW, columns={"status": "State"})


def test_a_scheduled_row_needs_a_date() -> None:
    assert why_hidden({"status": "scheduled"}, is_dated=False) == "scheduled"
    assert why_hidden({"status": "scheduled"}, is_dated=True) == ""


def test_many_reasons_are_grouped(tmp_path: Path) -> None:
    rows = [{"id": n, "title": "x", "status": f"s{n}" if n else "publish"} for n in range(1100)]
    corpus = read(jsonl(tmp_path / "a.jsonl", *rows), public={"status": ["publish"]})

    assert len(corpus.report.skipped) == 1001
    assert corpus.report.skipped.total() == 1099


def test_only_publish_is_public_in_wordpress() -> None:
    for status in ("future", "pitch", "published", "", "draft"):
        assert why_hidden({"wp:status": status}, is_dated=True) == (status or "no status")
    assert why_hidden({"wp:status": "publish"}, is_dated=True) == ""


def test_the_export_of_a_plugin_leaks_no_draft(tmp_path: Path) -> None:
    lines = [
        "id,Title,Content,Status,Post Password",
        "1,Quay works,The harbour board met.,publish,",
        "2,DRAFT: mayor,The harbour board met.,draft,",
        "3,Subscribers,The harbour board met.,publish,secret1",
        "4,PRIVATE: memo,The harbour board met.,private,",
    ]
    path = tmp_path / "wp-all-export.csv"
    path.write_text("\n".join(lines))

    corpus = read_articles(path, now=NOW, columns={"title": "Title", "body": "Content"})

    assert ids(corpus) == ["1"]
    assert corpus.report.skipped == {"draft": 1, "password": 1, "private": 1}
    assert not {"Status", "Post Password"} & set(corpus.report.unknown_columns)


def test_a_corpus_of_drafts_is_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="skipped 1 draft"):
        read(file_of(tmp_path, "csv", "STATUS", ["Draft"]))


def test_json_is_compared_as_text() -> None:
    assert verdict("status", json.loads('{"a": 1}')).is_decided is False
    assert verdict("status", b"draft").hidden == "draft"
    assert verdict("state", "-2", Decisions.of({"state": ["2"]})).hidden == "state: -2"
    assert verdict("state", float("nan")).hidden == ""


def test_prose_in_a_column_named_draft_does_not_hide_a_row(tmp_path: Path) -> None:
    corpus = read(file_of(tmp_path, "csv", "draft", ["The first version of 12.11.2026 and 2027", "Second"]))

    assert ids(corpus) == ["1", "2"]


def test_the_time_of_deletion_hides_a_row(tmp_path: Path) -> None:
    assert ids(read(file_of(tmp_path, "csv", "deleted", ["", "2026-11-01T08:00:00Z"]))) == ["1"]


def test_reasons_have_no_control_characters(tmp_path: Path) -> None:
    path = file_of(tmp_path, "jsonl", "status", ["publish", "\x1b[31mred"])

    assert read(path, public={"status": ["publish"]}).report.skipped == {"?[31mred": 1}
    with pytest.raises(UndecidedError) as error:
        read(path)
    assert "\x1b" not in str(error.value)
