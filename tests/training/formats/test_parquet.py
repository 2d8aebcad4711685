"""Parquet files with nested lists, dictionary columns and whole numbers stored as floats are read."""

import decimal
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recommender.training.formats.files import Limits, TooLargeError, limited
from recommender.training.formats.parquet import parquet_file
from recommender.training.readers.corpus import Corpus, read_articles


def read(path: Path, **columns: Any) -> Corpus:
    pq.write_table(pa.table(columns), path)
    return read_articles(path, max_bad=1)


def test_whole_floats_are_ids_and_others_are_refused(tmp_path: Path) -> None:
    corpus = read(tmp_path / "a.parquet", id=[1.0, math.nan, None, 2.5, 2.0**60, 0.0], title=["x"] * 6)

    assert [article.id for article in corpus.articles] == ["0", "1"]
    assert corpus.report.refused_by_reason == {"missing id": 2, "bad id": 2}


def test_whole_decimals_are_ids(tmp_path: Path) -> None:
    ids = [decimal.Decimal("7.00"), decimal.Decimal("7.50")]

    corpus = read(tmp_path / "a.parquet", id=ids, title=["x", "y"])

    assert [article.id for article in corpus.articles] == ["7"]


def test_lists_of_objects_are_read_by_their_names(tmp_path: Path) -> None:
    corpus = read(
        tmp_path / "a.parquet",
        id=["1", "2", "3"],
        title=["x", "y", "z"],
        categories=[[{"name": "News", "slug": "news"}, {"name": "Sea", "slug": "sea"}], None, []],
        authors=[[{"id": 4, "display_name": "Ann"}], [None], [{"id": 5, "display_name": "Ben"}]],
    )

    assert [article.categories for article in corpus.articles] == [("News", "Sea"), (), ()]
    assert [article.authors for article in corpus.articles] == [("Ann",), (), ("Ben",)]


def test_an_object_is_read_by_its_name_also_after_the_first_batch(tmp_path: Path) -> None:
    categories = [{"name": f"C{n % 3}"} if n % 2 else None for n in range(1100)]

    corpus = read(tmp_path / "a.parquet", id=list(range(1100)), title=["x"] * 1100, category=categories)

    names = {int(article.id): article.category for article in corpus.articles}
    assert names == {n: f"C{n % 3}" if n % 2 else None for n in range(1100)}


def test_columns_stored_as_dictionaries_are_read(tmp_path: Path) -> None:
    text = pa.array(["a", "b", "a", None]).dictionary_encode()

    corpus = read(tmp_path / "a.parquet", id=["1", "2", "3", "4"], title=["x"] * 4, category=text)

    assert [article.category for article in corpus.articles] == ["a", "b", "a", None]


def test_a_long_name_in_many_objects_is_stored_once_and_counted(tmp_path: Path) -> None:
    names = [[{"name": "x" * 400_000}] * 4, [{"name": "y"}]]

    with limited(Limits(row_bytes=1 << 20)), pytest.raises(TooLargeError, match="--max-row-mib"):
        read(tmp_path / "a.parquet", id=["1", "2"], title=["x", "y"], categories=names)


def test_a_lack_of_memory_is_not_reported_as_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "posts.parquet"
    pq.write_table(pa.table({"id": ["1"]}), path)

    with pytest.raises(MemoryError), parquet_file(path):
        raise pa.lib.ArrowMemoryError("malloc of size 8326208 failed")
