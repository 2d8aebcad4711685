"""CSV files: broken rows are refused with their line, and the header decides what is read."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recommender.article import Article
from recommender.training.readers.corpus import Corpus, CorpusError, read_articles

NOW = datetime(2025, 1, 1, tzinfo=UTC)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(*paths: Path, **options: Any) -> Corpus:
    return read_articles(*paths, now=NOW, **options)


def first(path: Path, **options: Any) -> Article:
    return read(path, **options).articles[0]


def test_csv_rows_are_numbered_by_the_line_they_begin_on(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'id,title,body\n1,One,"two\nlines"\n2,Two\n3,Three,x\n')

    report = read(path, max_bad=1).report

    (refusal,) = report.refused
    assert (refusal.row, refusal.detail) == (4, "2 fields where the header has 3")


def test_csv_bytes_that_are_not_utf8_refuse_the_row_and_never_become_other_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b"id,title\n1,caf\xe9 talk\n2,caf\xc3\xa9\n")

    corpus = read(path, max_bad=1)

    assert [article.title for article in corpus.articles] == ["café"]
    assert (corpus.report.refused[0].row, corpus.report.refused[0].reason) == (2, "not UTF-8")
    assert "0xe9 in 'caf'" in corpus.report.refused[0].detail


def test_a_stray_quote_refuses_only_its_own_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'id,title\n1,"He said "no" twice"\n2,Two\n')

    corpus = read(path, max_bad=1)

    assert [article.id for article in corpus.articles] == ["2"]
    assert corpus.report.refused_by_reason == {"broken CSV": 1}


def test_a_quote_that_never_closes_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"a\.csv: a quote opened in line 3"):
        read(write(tmp_path / "a.csv", 'id,title\n1,One\n2,"Two\n3,Three\n4,Four\n'))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("id;title;body", "'id;title;body'; its fields seem to be separated by semicolons"),
        ("title\tid", r"separated by tabs"),
        ("title|id|body", "separated by bars"),
        ("id:title", "'id:title'; it has only one column: separate its fields by commas"),
        ("ID,Title,body", "columns: 'ID', 'Title', 'body'; map one, such as id=ID"),
        ("id,text", "neither a column 'title' nor 'body'; its columns: 'id', 'text'"),
    ],
)
def test_a_csv_without_our_columns_is_refused_with_its_columns(
    tmp_path: Path, header: str, message: str
) -> None:
    with pytest.raises(CorpusError, match=message.replace("|", r"\|")):
        read(write(tmp_path / "a.csv", f"{header}\n1,2,3\n"))


def test_a_tsv_file_is_separated_by_tabs(tmp_path: Path) -> None:
    assert first(write(tmp_path / "a.tsv", "id\ttitle\n1\tOne, two\n")).title == "One, two"
