"""Put a model together: the lists of its articles, their columns and the manifest."""

import hashlib
import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from operator import attrgetter
from typing import Protocol

import numpy as np
from scipy.sparse import csr_array

from recommender.article import Article
from recommender.columns import Strings
from recommender.copies import WordTriples
from recommender.embedding import Vocabulary
from recommender.given_vectors import GivenVector, joined
from recommender.manifest import Adapted, CorpusFacts, Manifest, Topic
from recommender.model import Articles, Model, Vectors, term_rules
from recommender.neighbors import ListFacts
from recommender.provenance import Drift
from recommender.recipe import Recipe
from recommender.title_words import TitleWords
from recommender.topic_space import TopicSpace
from recommender.training.kernels import Workers, release_memory
from recommender.training.neighbors.kept import KeptLists, StoredCandidates
from recommender.training.neighbors.lists import RelatedLists, build_related_lists
from recommender.training.terms.vectorizer import by_term

_CACHED_TEXTS = 1000  # whose triples of words are kept, while near-duplicates are compared
_FACTS_OF = attrgetter(*(field.name for field in fields(Article) if field.name not in {"body", "vector"}))
_LISTS_PART = 0.95  # of the step of the neighbours, reported while it runs; the rest cannot be divided
_LIBRARIES = ("numba", "numpy", "pystemmer", "recommender", "scikit-learn", "scipy")


class Progress(Protocol):
    """Receives the progress of training or an evaluation."""

    def step(self, name: str, total: float, unit: str) -> AbstractContextManager[Callable[[float], None]]:
        """Start a step of `total` units; the returned function is called with the units just completed."""


class Steps:
    """Measures the time of the steps and forwards their progress."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self.seconds: dict[str, float] = {}

    @contextmanager
    def run(self, name: str, total: float, unit: str) -> Iterator[Callable[[float], None]]:
        """Run a step of `total` units, and yield a function to call with the units just completed."""
        began = time.perf_counter()
        step = self._progress.step(name, total, unit) if self._progress else nullcontext(lambda _: None)
        with step as advance:
            yield advance
        release_memory()
        self.seconds[name] = time.perf_counter() - began


@dataclass(frozen=True)
class Fitted:
    """All parts of a model but the lists of its articles."""

    recipe: Recipe
    adapted: Adapted
    stop_words: Mapping[str, frozenset[str]]  # by language
    standing_lines: list[str]  # keys
    rows: csr_array  # (n, n_terms) float32, TF-IDF in fixed point
    latent: np.ndarray  # (n, n_components + length of given vectors) float32, in fixed point
    vocabulary: Vocabulary
    topic_space: TopicSpace
    topics: list[Topic]
    terms_counted: int


def finished_model(
    fitted: Fitted,
    articles: Sequence[Article],
    steps: Steps,
    threads: int,
    now: datetime | None,
    refused: int,
    kept: KeptLists | None = None,
    drift: Drift | None = None,
    workers: Workers | None = None,
) -> tuple[Model, StoredCandidates]:
    """Return the model with the lists of its articles, and the candidates for an incremental training.

    `articles` are those of the rows. What is `kept` of the lists of a version is not computed again. If
    there are `workers`, they score the pairs.
    """
    n, recipe, adapted = len(articles), fitted.recipe, fitted.adapted
    with steps.run("neighbours", n, "articles") as advance:
        vectors = _vectors(fitted.rows, fitted.latent, threads)
        if adapted.vector_length:
            vectors = replace(vectors, rescale=adapted.rescale(vectors.latent))
        lists = build_related_lists(
            vectors, adapted, recipe, threads,
            progress=lambda share: advance(_LISTS_PART * share * n), same_text=_same_text(articles),
            titles=[article.title for article in articles], kept=kept, workers=workers,
        )  # fmt: skip
        advance(n - _LISTS_PART * n)
    with steps.run("articles", n, "articles") as advance:
        columns = Articles.of(articles)
        if adapted.vector_length:
            columns = replace(columns, vectors=_given_columns(articles, adapted.vector_length))
        facts = _facts(fitted, articles, columns, refused)
        rules = term_rules(recipe, adapted, dict(fitted.stop_words), fitted.standing_lines)
        title_words = TitleWords.of(((article.title, article.lang) for article in articles), rules)
        advance(n)
    manifest = _manifest(fitted, now or datetime.now(UTC), facts, lists, drift)
    parts = lists.neighbors, lists.copies, lists.corrections, fitted.topic_space, title_words
    return Model(manifest, columns, fitted.vocabulary, vectors, *parts), lists.candidates


def _given_columns(articles: Sequence[Article], length: int) -> np.ndarray:
    """Return the given vectors of articles times 4096, (n, length) int16; one that is missing is all zero."""
    rows = np.zeros((len(articles), length), dtype=np.int16)
    for row, article in enumerate(articles):
        if article.vector is not None:
            rows[row] = GivenVector.of(article.vector).array
    return rows


def with_given(latent: np.ndarray, articles: Sequence[Article], adapted: Adapted) -> np.ndarray:
    """Return the latent coordinates of articles; beside them the given vectors, if the model has any."""
    if not adapted.vector_length:
        return latent
    return joined(latent, _given_columns(articles, adapted.vector_length), adapted.vector_share)


def _vectors(rows: csr_array, latent: np.ndarray, threads: int) -> Vectors:
    term_offsets, term_rows, term_values = by_term(rows, threads)
    return Vectors(
        offsets=rows.indptr.astype(np.int64),
        columns=rows.indices.astype(np.int32, copy=False),
        values=rows.data,
        latent=latent,
        term_offsets=term_offsets,
        term_rows=term_rows,
        term_values=term_values,
    )


def _same_text(articles: Sequence[Article]) -> Callable[[int, int], bool]:
    """Return a function that compares the texts of two articles, given by their rows."""

    @lru_cache(maxsize=_CACHED_TEXTS)
    def triples(row: int) -> WordTriples:
        return WordTriples.of(articles[row].title, articles[row].body)

    return lambda one, other: triples(one).is_same_text(triples(other))


def _manifest(
    fitted: Fitted, trained_at: datetime, facts: CorpusFacts, lists: RelatedLists, drift: Drift | None
) -> Manifest:
    return Manifest(
        format=0,
        version="",
        trained_at=trained_at,
        recipe=fitted.recipe,
        adapted=fitted.adapted,
        corpus=facts,
        similar_above=lists.similar_above,
        hub_floor=lists.hub_floor,
        topics=fitted.topics,
        stop_words={lang: sorted(listed) for lang, listed in fitted.stop_words.items()},
        standing_lines=fitted.standing_lines,
        digests=lists.digests,
        neighbors=ListFacts(recall_at_20=lists.recall_at_20),
        drift=drift,
        libraries=library_versions(),
        files={},
    )


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that compute the arrays, by name."""
    return {"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES}


def _facts(fitted: Fitted, articles: Sequence[Article], columns: Articles, refused: int) -> CorpusFacts:
    longest = fitted.recipe.terms.max_body_chars
    lengths = [(len(article.title), len(article.body)) for article in articles]
    cut = [sum(max(length - longest, 0) for length in pair) for pair in lengths if max(pair) > longest]
    whole = sum(map(sum, lengths))
    return CorpusFacts(
        articles=len(articles),
        refused=refused,
        fingerprint=_fingerprint(articles, columns.bodies),
        newest_published_at=max((a.published_at for a in articles if a.published_at), default=None),
        characters_read=whole - sum(cut),
        characters_cut=sum(cut),
        articles_cut=len(cut),
        terms_counted=fitted.terms_counted,
        terms_kept=len(fitted.vocabulary.terms),
    )


def _fingerprint(articles: Sequence[Article], bodies: Strings) -> str:
    digest, encoder = hashlib.sha256(), json.JSONEncoder(default=datetime.isoformat)
    for row, article in enumerate(articles):
        body = bodies.bytes_at(row)
        digest.update(encoder.encode([*_FACTS_OF(article), len(body)]).encode())
        digest.update(body)
        if isinstance(article.vector, GivenVector):
            digest.update(article.vector.data)
    return digest.hexdigest()
