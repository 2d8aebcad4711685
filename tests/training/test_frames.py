"""The frames of a model have the documented columns, and the values of the model."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from recommender.neighbors import NO_ROW
from recommender.training.frames import articles_frame, display_table, neighbors_frame, topics_frame
from recommender.training.train import Trained


def test_neighbors_are_those_of_the_model_in_order(trained: Trained) -> None:
    model = trained.model

    frame = neighbors_frame(model, k=5)

    ids = list(model.articles.ids)
    expected = [[ids[row] for row in rows if row != NO_ROW] for rows in model.neighbors.rows[:, :5].tolist()]
    assert frame.groupby("id", sort=False)["neighbor_id"].agg(list).tolist() == expected
    assert frame.dtypes.astype(str).tolist() == [
        *("string", "int32", "string", "float32", "bool", "bool", "string", "string"),
    ]
    row_of, first = {article_id: row for row, article_id in enumerate(ids)}, model.copies.first
    rows, others = (frame[name].map(row_of).to_numpy() for name in ("id", "neighbor_id"))
    assert (frame["near_duplicate"] == (first[rows] == first[others])).all()
    assert 0 < frame["near_duplicate"].sum() < len(frame)
    for name, expected_rows in (("title", rows), ("neighbor_title", others)):
        assert frame[name].tolist() == [model.articles.titles[int(row)] for row in expected_rows]
    assert (frame["similar"] == (frame["score"] > model.manifest.similar_above)).all()
    pd.testing.assert_frame_equal(frame, trained.neighbors_frame(5))


@pytest.mark.parametrize("k", [0, -1, 101, 2.5])
def test_a_wrong_number_of_neighbors_is_an_error(trained: Trained, k: Any) -> None:
    with pytest.raises(ValueError, match=f"k is {k}; this model has 1 to 100"):
        neighbors_frame(trained.model, k)


def test_topics_are_ordered_by_size(trained: Trained) -> None:
    frame = topics_frame(trained.model)

    assert frame["articles"].is_monotonic_decreasing
    assert set(frame["slug"]) == {topic.slug for topic in trained.model.manifest.topics}
    assert frame["share"].tolist() == pytest.approx(
        (frame["articles"] / len(trained.model.articles)).tolist()
    )


def test_a_displayed_table_escapes_texts_and_cuts_nothing() -> None:
    title = "<script>alert(1)</script>" + "long " * 40
    dates = pd.to_datetime(["2026-01-01T10:00Z", "NaT"], utc=True)
    rows = {
        "title": [title, pd.NA],
        "score": [0.12345, float("nan")],
        "at": dates,
        "<b>": [("<u>", "s"), None],
    }
    frame = pd.DataFrame(rows, index=["<i>", "<i>"])

    page = display_table(frame).to_html()

    assert "<script>" not in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert "<u>" not in page
    assert "&lt;u&gt;, s<" in page
    assert f"&lt;script&gt;alert(1)&lt;/script&gt;{'long ' * 40}" in page
    assert "0.123<" in page
    assert "2026-01-01 10:00<" in page
    assert "nan" not in page.lower()
    assert "NaT" not in page
    assert "&lt;i&gt;" not in display_table(frame, index=False).to_html()


def test_articles_have_their_facts(trained: Trained) -> None:
    frame = articles_frame(trained.model).set_index("id")

    article = trained.model.articles.article(3)
    row: Any = frame.loc[article.id]
    assert (row["title"], row["category"], row["tags"]) == (article.title, article.category, article.tags)
    assert row["published_at"] == article.published_at
    assert row["updated_at"] == article.updated_at
    assert frame["updated_at"].isna().any()
    assert frame.dtypes.astype(str)["published_at"] == "datetime64[us, UTC]"
    first = np.asarray(trained.model.topic_space.first)
    assert row["topic"] == trained.model.manifest.topics[first[3]].slug
    neighbors = trained.model.neighbors.rows[:, :9]
    assert frame["listed"].tolist() == np.bincount(neighbors[neighbors >= 0], minlength=len(frame)).tolist()
