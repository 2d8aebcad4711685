"""Data frames are read like files: with the same checks, visibility and refusals."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from recommender.article import Article
from recommender.training.formats.files import CorpusError
from recommender.training.readers.corpus import Corpus, read_articles
from recommender.training.train import train
from recommender.visibility import UndecidedError
from tests.support.cli import SAMPLE
from tests.support.sample import NOW


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return pd.read_json(str(SAMPLE), lines=True)


def test_frames_of_every_library_give_the_articles_of_the_file(
    frame: pd.DataFrame, sample_articles: list[Article]
) -> None:
    arrow = pa.Table.from_pandas(frame, preserve_index=False)

    # polars exports its texts as views, also those in lists.
    views = {"title": pa.string_view(), "tags": pa.list_(pa.string_view())}
    fields = [pa.field(field.name, views.get(field.name, field.type)) for field in arrow.schema]
    of_polars = pa.table([arrow[f.name].to_pylist() for f in fields], schema=pa.schema(fields))

    for source in (frame, frame.set_index("id"), frame.sample(frac=1, random_state=0), arrow, of_polars):
        assert read_articles(source, now=NOW).articles == sample_articles


def test_articles_and_a_corpus_are_accepted_unchanged(sample_articles: list[Article]) -> None:
    corpus = read_articles(iter(sample_articles[::-1]))

    assert corpus.articles == sample_articles
    assert read_articles(corpus).articles == sample_articles
    assert (len(corpus), list(corpus)) == (len(sample_articles), sample_articles)


def test_a_lazy_frame_must_be_collected() -> None:
    class LazyFrame:
        """Polars' class has this name, and is no table yet."""

    with pytest.raises(TypeError, match=r"call collect\(\) on the LazyFrame first"):
        read_articles(LazyFrame())  # type: ignore[arg-type]


def read(rows: dict[str, Any], **options: Any) -> Corpus:
    return read_articles(pd.DataFrame(rows), now=NOW, **options)


def test_missing_values_of_pandas_are_missing() -> None:
    dates = [pd.Timestamp("2026-01-01"), pd.NaT]
    rows = {
        "id": [1.0, 2.0],
        "title": ["Ferry", pd.NA],
        "body": [None, "Text"],
        "category": pd.array(["News", None], dtype="string"),
        "published_at": dates,
        "tags": [np.array(["a", "b"]), None],
    }

    first, second = read(rows).articles

    assert (first.id, first.body, first.category, first.tags) == ("1", "", "News", ("a", "b"))
    assert (second.id, second.title, second.category, second.published_at) == ("2", "", None, None)
    assert first.published_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert type(first.published_at) is datetime


def test_drafts_in_a_frame_are_skipped_and_an_unknown_status_stops() -> None:
    rows = {"id": ["1", "2"], "title": ["Ferry", "Secret"]}

    assert [article.id for article in read({**rows, "post_status": ["publish", "draft"]})] == ["1"]
    with pytest.raises(UndecidedError):
        read({**rows, "post_status": ["publish", "maybe"]})


def test_columns_are_mapped_and_bad_rows_counted() -> None:
    rows = {"Nr": [1, 1, 3], "headline": ["a", "b", "c"]}

    corpus = read(rows, columns={"id": "Nr", "title": "headline"}, max_bad=0.5)
    trained = train(
        pd.DataFrame({"Nr": [1, 2, 3], "headline": ["Ferry sails", "Ferry stops", ""]}).head(2),
        columns={"id": "Nr", "title": "headline"},
    )

    assert [article.title for article in corpus] == ["a", "c"]
    assert dict(corpus.report.refused_by_reason) == {"duplicate id": 1}
    assert len(trained.model.articles) == 2


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (pd.DataFrame({"title": ["x"]}), "data frame has no column 'id'"),
        (pd.DataFrame([["1", "x", "y"]], columns=["id", "title", "title"]), "two columns 'title'"),
        (pd.Series(["x"]), "is a Series and no table"),
        (pd.DataFrame({"id": [], "title": []}), "no article in data frame"),
        (pd.DataFrame({"id": ["1"], "title": [""]}), "1 of 1 rows are refused"),
    ],
)
def test_a_frame_that_cannot_be_read_is_a_clear_error(source: Any, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        read_articles(source)


@pytest.mark.parametrize("source", [3, None, b"x", {"id": "1"}, [{"id": "1"}], ["a.csv"]])
def test_another_type_names_the_right_call(source: Any) -> None:
    with pytest.raises(TypeError, match=r"call read_articles\("):
        read_articles(source)
