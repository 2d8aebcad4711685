"""Our lists and those of scikit-learn's TF-IDF, measured on the same articles."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfVectorizer

from recommender.article import Article
from recommender.displayed import LIST_LENGTH
from recommender.model import Model
from recommender.neighbors import NO_ROW, top_k
from recommender.training.evaluation.labels import LabelFile, judgements
from recommender.training.evaluation.measures import MEASURES, measured
from recommender.training.train import train
from tests.benchmarks.quality.results import OURS, Means

PEERS: dict[str, dict[str, Any]] = {
    "TF-IDF": {},
    "tuned TF-IDF": {"stop_words": "english", "sublinear_tf": True},
}
DEPTH = 50  # articles ranked for each query; a measure may leave some out
_CHUNK = 256  # queries scored at a time

Similarity = Callable[[np.ndarray], np.ndarray]  # from m rows to their cosines with all articles, (m, n)


def by_labels(
    corpus: str,
    articles: Sequence[Article] | Model,
    labels: LabelFile,
    names: Sequence[str],
    *,
    by_story: bool,
) -> list[Means]:
    """Measure the lists of all labelled articles, in a newly trained model or in this one.

    `names` are keys of MEASURES. The bootstrap draws stories, or single queries if the labels are pairs.
    """
    model = articles if isinstance(articles, Model) else train(articles).model
    judged = judgements(labels, model.articles)
    values = {
        system: measured(ranked, judged, model.articles.titles)
        for system, ranked in rankings(model, judged.queries)
    }
    ids = [model.articles.ids[row] for row in judged.queries]
    story_of = {article_id: story for story, members in labels.stories.items() for article_id in members}
    groups = [story_of[article_id] for article_id in ids] if by_story else ids
    columns = {name: list(MEASURES).index(name) for name in names}
    return [
        Means(
            corpus, name, ids, groups, {system: rows[:, column].tolist() for system, rows in values.items()}
        )
        for name, column in columns.items()
    ]


def by_category(corpus: str, articles: Sequence[Article], category_of: dict[str, str]) -> Means:
    """Measure which share of each list is of the article's own category; `articles` must not have any."""
    model = train(articles).model
    ids = list(model.articles.ids)
    categories = np.array([category_of[article_id] for article_id in ids])
    values = {}
    for system, ranked in rankings(model, np.arange(len(ids))):
        items = ranked[:, :LIST_LENGTH]
        same = (categories[items] == categories[:, None]) & (items != NO_ROW)
        values[system] = (same.sum(axis=1) / LIST_LENGTH).tolist()
    return Means(corpus, "category", ids, ids, values)


def rankings(model: Model, rows: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name of each system and its lists of these rows, (m, DEPTH) int32, padded with NO_ROW."""
    yield OURS, np.asarray(model.neighbors.rows)[rows][:, :DEPTH]
    for system, similarity in peers(model):
        ranked = np.full((len(rows), DEPTH), NO_ROW, dtype=np.int32)
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            for place, (row, scores) in enumerate(zip(chunk, similarity(chunk), strict=True), start):
                scores[row] = 0
                best = top_k(scores, DEPTH)
                best = best[scores[best] > 0]
                ranked[place, : len(best)] = best
        yield system, ranked


def peers(model: Model) -> Iterator[tuple[str, Similarity]]:
    """Yield the name and the similarity of each of scikit-learn's systems, on the articles of a model."""
    pairs = zip(model.articles.titles, model.articles.bodies, strict=True)
    texts = [f"{title}\n{body}" for title, body in pairs]
    for system, options in PEERS.items():
        yield system, partial(_cosines, TfidfVectorizer(**options).fit_transform(texts))


def _cosines(vectors: csr_array, rows: np.ndarray) -> np.ndarray:
    return np.asarray((vectors[rows] @ vectors.T).toarray())
