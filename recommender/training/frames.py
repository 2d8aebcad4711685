"""A model as data frames, for notebooks: its articles, their neighbours and its topics; frames as tables.

Texts are of pandas' dtype `string`, where a missing value is NA; dates are `datetime64[us, UTC]`.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from recommender.model import Model
from recommender.neighbors import NO_ROW
from recommender.wrong_type import wrong_type


def neighbors_frame(model: Model, k: int = 9) -> pd.DataFrame:
    """Return the k nearest neighbours of every article, as computed at training, one row for each.

    Columns: `id` and `neighbor_id` (string), `rank` (int32, from 1), `score` (float32), `similar` (bool:
    whether the score is above the model's threshold), `near_duplicate` (bool: whether both articles have the
    same text), `title` and `neighbor_title` (string). Rows are in the order of ids and ranks. Raises
    ValueError if the model has fewer than k neighbours of each article.

    >>> recommender.neighbors_frame(model, k=2)[["id", "rank", "neighbor_id"]].head(2).values.tolist()
    [['1001', 1, '3012'], ['1001', 2, '2039']]
    """
    _check_model("neighbors_frame", model)
    stored = model.neighbors.rows.shape[1]
    if not isinstance(k, int | np.integer) or not 1 <= k <= stored:
        raise ValueError(f"k is {k}; this model has 1 to {stored} neighbours (neighbors.k of its recipe)")
    near, scores = model.neighbors.rows[:, :k], model.neighbors.scores[:, :k].ravel()
    rows, ranks = (grid.ravel() for grid in np.indices(near.shape))
    others, first = near.ravel(), model.copies.first
    found = others != NO_ROW
    rows, ranks, others, scores = rows[found], ranks[found], others[found], scores[found]
    ids, titles = _texts(model.articles.ids), _texts(model.articles.titles)
    return pd.DataFrame(
        {
            "id": ids[rows],
            "rank": (ranks + 1).astype(np.int32),
            "neighbor_id": ids[others],
            "score": scores,
            "similar": scores > model.manifest.similar_above,
            "near_duplicate": first[rows] == first[others],
            "title": titles[rows],
            "neighbor_title": titles[others],
        }
    )


def topics_frame(model: Model) -> pd.DataFrame:
    """Return the topics of a model, the largest first.

    Columns: `slug` and `name` (string), `articles` (int32: how many have it as their first topic), `share`
    (float32: of all articles), `coherence` (float32: NPMI of its terms, -1 to 1), `terms` (string: the most
    distinctive ones, separated by commas).

    >>> recommender.topics_frame(model).columns.tolist()
    ['slug', 'name', 'articles', 'share', 'coherence', 'terms']
    """
    _check_model("topics_frame", model)
    topics = sorted(model.manifest.topics, key=lambda topic: (-topic.articles, topic.slug))
    articles = np.array([topic.articles for topic in topics], dtype=np.int32)
    return pd.DataFrame(
        {
            "slug": _texts(topic.slug for topic in topics),
            "name": _texts(topic.name for topic in topics),
            "articles": articles,
            "share": (articles / max(len(model.articles), 1)).astype(np.float32),
            "coherence": np.array([topic.coherence for topic in topics], dtype=np.float32),
            "terms": _texts(", ".join(topic.terms) for topic in topics),
        }
    )


def articles_frame(model: Model) -> pd.DataFrame:
    """Return the articles of a model, in the order of ids.

    Columns: `id`, `title`, `url`, `category`, `type`, `lang` (string), `categories`, `tags`, `authors`
    (object: tuples of str), `published_at`, `updated_at` (datetime64[us, UTC]), `reading_minutes` (int32),
    `topic` (string: the slug of the first topic), `listed` (int32: how many lists of nine contain it),
    `copy_of` (string: the id of the first article with the same text).

    >>> articles = recommender.articles_frame(model)
    >>> int(articles["listed"].sum()) == 9 * len(articles)
    True
    """
    _check_model("articles_frame", model)
    articles, n = model.articles, len(model.articles)
    near = model.neighbors.rows[:, :9]
    ids, first = _texts(articles.ids), np.asarray(model.copies.first)
    slugs = [topic.slug for topic in model.manifest.topics]
    topics = [slugs[number] if number >= 0 else None for number in model.topic_space.first.tolist()]
    return pd.DataFrame(
        {
            "id": ids,
            "title": _texts(articles.titles),
            "url": _texts(articles.urls),
            "category": _texts(articles.category[row] for row in range(n)),
            "type": _texts(articles.types[row] for row in range(n)),
            "lang": _texts(articles.langs[row] for row in range(n)),
            "categories": _tuples(articles.categories, n),
            "tags": _tuples(articles.tags, n),
            "authors": _tuples(articles.authors, n),
            "published_at": _dates(articles.published),
            "updated_at": _dates(articles.updated),
            "reading_minutes": np.asarray(articles.minutes, dtype=np.int32),
            "topic": _texts(topics),
            "listed": np.bincount(near[near != NO_ROW], minlength=n).astype(np.int32),
            "copy_of": _texts(articles.ids[f] if f != row else None for row, f in enumerate(first.tolist())),
        }
    )


def display_table(frame: pd.DataFrame, *, index: bool = True) -> Styler:
    """Return a frame as a table for notebooks, with whole texts on the left and three decimals.

    All texts are escaped; a line break in a text is one in its cell. A missing value is an empty cell, and
    several texts are separated by commas. Without `index`, the index is left out.

    >>> table = recommender.display_table(recommender.topics_frame(model), index=False)
    >>> "Skerrow, islands, ferry" in table.to_html()
    True
    """
    if not isinstance(frame, pd.DataFrame):
        raise wrong_type(
            "display_table", "a pandas.DataFrame", frame, "call display_table(series.to_frame())"
        )
    table = frame.style.format(_cell)
    for axis in (0, 1):
        table = table.format_index(_label, axis=axis)
    layout = "text-align: left; vertical-align: top; white-space: pre-line"
    table = table.set_table_styles([{"selector": "th, td", "props": layout}])
    return table if index else table.hide(axis="index")


def _cell(value: Any) -> str:
    """Return the HTML of a value: a number with three decimals, a date, several texts, or a text."""
    if isinstance(value, tuple | list):
        return escape(", ".join(map(str, value)))
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return ""
    if isinstance(value, float | np.floating):
        return f"{value:.3f}"
    return escape(f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else str(value))


def _label(value: Any) -> str:
    return escape(f"{value:g}" if isinstance(value, float) else str(value))


def _check_model(call: str, model: object) -> None:
    if not isinstance(model, Model):
        cure = f"call {call}(recommender.train(corpus).model) or {call}(recommender.open_current())"
        raise wrong_type(call, "a Model", model, cure)


def _texts(texts: Iterable[str | None]) -> Any:
    return pd.array([text or None for text in texts], dtype="string")


def _tuples(labels: Any, n: int) -> Sequence[tuple[str, ...]]:
    return [labels[row] for row in range(n)]


def _dates(microseconds: np.ndarray) -> Any:
    # The integer of NO_MOMENT is that of numpy's and pandas' missing date.
    return pd.to_datetime(np.array(microseconds).view("datetime64[us]"), utc=True)
