"""Train a model from articles, together with the scikit-learn estimators for notebooks."""

import hashlib
import json
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from importlib.metadata import version
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any, Protocol

import joblib
import numpy as np
from scipy.sparse import csr_array
from sklearn.cluster import KMeans
from stop_words import StopWordError, get_stop_words

from recommender.article import Article
from recommender.columns import Strings
from recommender.copies import WordTriples
from recommender.embedding import Vocabulary
from recommender.fixed_point import round_rows
from recommender.model import (
    Adapted,
    Articles,
    CorpusFacts,
    Manifest,
    Model,
    Topic,
    Vectors,
    term_rules,
)
from recommender.neighbors import ListFacts
from recommender.recipe import Recipe
from recommender.text import TermRules, base_language, words
from recommender.training.kernels import Workers, cores, release_memory
from recommender.training.neighbors.lists import RelatedLists, build_related_lists
from recommender.training.terms.adapt import adapt
from recommender.training.terms.counting import TermCounts, count_terms
from recommender.training.terms.languages import inverse_document_frequency, without_function_words
from recommender.training.terms.standing import without_standing_lines
from recommender.training.terms.texts import Texts
from recommender.training.terms.vectorizer import (
    PackedVectorizer,
    by_term,
    fitted_vectorizer,
    term_weights,
    tfidf,
)  # fmt: skip
from recommender.training.topics.fitting import TopicModel, fit_topics
from recommender.training.topics.latent import LatentSpace, fit_latent_space
from recommender.training.topics.naming import NamingTerms
from recommender.training.topics.slugs import keep_slugs, members_of

ESTIMATORS = "estimators.joblib"
_CACHED_TEXTS = 1000  # whose triples of words are kept, while near-duplicates are compared
_FACTS_OF = attrgetter(*(field.name for field in fields(Article) if field.name != "body"))
_PART = 0.5  # of a step, which is reported while it runs; the rest cannot be divided
_LISTS_PART = 0.95  # of the step of the neighbours, likewise
_LIBRARIES = ("numba", "numpy", "pystemmer", "recommender", "scikit-learn", "scipy")


class TrainingError(ValueError):
    """A corpus that no model can be trained on; the message says why."""


class Progress(Protocol):
    """Receives the progress of training or an evaluation."""

    def step(self, name: str, total: float, unit: str) -> AbstractContextManager[Callable[[float], None]]:
        """Start a step of `total` units; the returned function is called with the units just completed."""


@dataclass(frozen=True)
class Trained:
    """A model, and the training results that serving does not need.

    They are separate from `Model`, which is what a worker opens. They are published beside it, for notebooks.
    """

    model: Model
    space: LatentSpace
    clusters: KMeans | None
    seconds: dict[str, float]  # by step, in order

    def estimators(self) -> dict[str, Any]:
        """Return the fitted scikit-learn objects by name; `models/README.md` says how to use them."""
        return {"vectorizer": fitted_vectorizer(*self._vectorizer_arguments), **self._other_estimators}

    def extra_files(self) -> dict[str, Callable[[Path], None]]:
        """Return the files that `publish` writes beside the arrays: each name with its writing function."""
        packed = {"vectorizer": PackedVectorizer(self._vectorizer_arguments), **self._other_estimators}
        return {ESTIMATORS: lambda path: _dump(packed, path)}

    @property
    def _vectorizer_arguments(self) -> tuple[TermRules, Strings, np.ndarray, int, int]:
        model, adapted = self.model, self.model.manifest.adapted
        terms = replace(model.vocabulary.terms)  # without its cached views, which cannot be pickled
        return model.rules, terms, model.vocabulary.weights, adapted.min_df, adapted.max_df

    @property
    def _other_estimators(self) -> dict[str, Any]:
        return {"latent_terms": self.space.terms, "svd": self.space.estimator, "topics": self.clusters}


def train(
    articles: Iterable[Article],
    recipe: Recipe | None = None,
    *,
    now: datetime | None = None,
    refused: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
    previous: Model | None = None,
    workers: Workers | None = None,
) -> Trained:
    """Train a model on the articles, in any order.

    The same articles, recipe and number of threads give the same arrays, byte for byte. `refused` is recorded
    in the manifest. Topics of the `previous` model keep their slugs; nothing else depends on it. `workers`,
    such as a `cluster`, read words and score pairs, with the same result. Raises TrainingError if there is no
    article, if two articles have the same id, or if no term is left.
    """
    recipe, ordered = recipe or Recipe(), _ordered(articles)
    n, threads = len(ordered), threads or cores()
    steps = _Steps(progress)
    stop_words = _stop_words(ordered) if recipe.terms.stop_words else {}

    with steps.run("terms", n, "articles") as advance:
        standing, texts = _compared_texts(ordered, recipe, threads)
        adapted = adapt(recipe, ordered, texts, threads)
        rules = term_rules(recipe, adapted, stop_words)
        counts = _counted(ordered, texts, rules, adapted, threads, advance, workers)
        counts, weights = _weighted(counts, ordered, adapted, recipe)
        rows = tfidf(counts, weights, threads)
        rows.data = round_rows(rows.data, rows.indptr)
        del texts  # a copy of the corpus
        counts = counts.without_rows()
        advance(n - _PART * n)
    with steps.run("latent space", 1, "fits") as advance:
        components = adapted.latent_components
        space = fit_latent_space(rows, counts.df, components, recipe.topics, recipe.seed, threads)
        latent = _rounded(space.project(rows, threads))
        vocabulary = _vocabulary(counts, weights, space)
        advance(1)
    with steps.run("topics", 1, "fits") as advance:
        naming = partial(NamingTerms.of, rows, counts.df, counts.terms, _spelt(counts.forms))
        topic_model = fit_topics(latent, naming, ordered, recipe.topics, recipe.seed, stop_words, threads)
        topics = _with_stable_slugs(topic_model, ordered, previous)
        advance(1)
    with steps.run("neighbours", n, "articles") as advance:
        vectors = _vectors(rows, latent, threads)
        lists = _lists(vectors, adapted, recipe, ordered, threads, advance, workers)
        advance(n - _LISTS_PART * n)
    with steps.run("articles", n, "articles") as advance:
        columns = Articles.of(ordered)
        facts = _facts(ordered, columns, recipe, counts, refused)
        advance(n)

    manifest = _manifest(recipe, adapted, now, facts, lists, topics, stop_words, standing)
    neighbor_arrays = (lists.neighbors, lists.copies, lists.corrections)
    model = Model(manifest, columns, vocabulary, vectors, *neighbor_arrays, topic_model.space)
    return Trained(model, space, topic_model.estimator, steps.seconds)


class _Steps:
    """Measures the time of the steps and forwards their progress."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self.seconds: dict[str, float] = {}

    @contextmanager
    def run(self, name: str, total: float, unit: str) -> Iterator[Callable[[float], None]]:
        began = time.perf_counter()
        step = self._progress.step(name, total, unit) if self._progress else nullcontext(lambda _: None)
        with step as advance:
            yield advance
        release_memory()
        self.seconds[name] = time.perf_counter() - began


def _ordered(articles: Iterable[Article]) -> list[Article]:
    ordered = sorted(articles, key=lambda article: article.id.encode())
    if not ordered:
        raise TrainingError("the corpus has no articles")
    for before, article in pairwise(ordered):
        if before.id == article.id:
            raise TrainingError(f"two articles have the id {article.id!r}")
    return ordered


def _compared_texts(articles: Sequence[Article], recipe: Recipe, threads: int) -> tuple[list[str], Texts]:
    """Return the keys of standing lines, and the texts without them."""
    texts = Texts.of(articles)
    return without_standing_lines(texts, threads) if recipe.terms.standing_lines else ([], texts)


def _counted(
    articles: Sequence[Article],
    texts: Texts,
    rules: TermRules,
    adapted: Adapted,
    threads: int,
    advance: Callable[[float], None],
    workers: Workers | None,
) -> TermCounts:
    bounds = adapted.min_df, adapted.max_df
    counts = count_terms(
        articles, rules, *bounds, threads, lambda read: advance(_PART * read), texts, workers
    )
    if not len(counts.terms):
        raise TrainingError(
            f"no term occurs in {adapted.min_df} to {adapted.max_df} of the {len(articles)} articles; "
            "check that they have text, and the recipe's terms.min_df and terms.max_df"
        )
    return counts


def _weighted(
    counts: TermCounts, articles: Sequence[Article], adapted: Adapted, recipe: Recipe
) -> tuple[TermCounts, np.ndarray]:
    """Return the counts of the terms that are used, and the weight of each term."""
    counts = without_function_words(counts, articles, adapted.main_lang, recipe.terms.max_df)
    idf = inverse_document_frequency(counts, articles, adapted.main_lang)
    return counts, term_weights(counts, idf, recipe.terms, adapted.piece_weight)


def _stop_words(articles: Sequence[Article]) -> dict[str, frozenset[str]]:
    """Return the stop words of each language in the corpus that has a list, split into words like text."""
    stop_words = {}
    for lang in sorted({base_language(article.lang) for article in articles if article.lang}):
        try:
            listed = get_stop_words(lang)
        except StopWordError:
            continue
        stop_words[lang] = frozenset(word for entry in listed for word in words(entry))
    return stop_words


def _same_text(articles: Sequence[Article]) -> Callable[[int, int], bool]:
    """Return a function that compares the texts of two articles, given by their rows."""

    @lru_cache(maxsize=_CACHED_TEXTS)
    def triples(row: int) -> WordTriples:
        return WordTriples.of(articles[row].title, articles[row].body)

    return lambda one, other: triples(one).is_same_text(triples(other))


def _vocabulary(counts: TermCounts, weights: np.ndarray, space: LatentSpace) -> Vocabulary:
    stems = sorted(counts.forms)
    forms = (counts.forms[stem] for stem in stems)
    return Vocabulary(
        counts.terms, weights, space.terms, space.components, Strings.of(stems), Strings.of(forms)
    )


def _spelt(forms: dict[str, str]) -> Callable[[str], str]:
    """Return a function that replaces each stem of a term by the word that it represents most often."""

    def spelt(term: str) -> str:
        parts = term.split(" ")
        return " ".join(map(forms.get, parts, parts))

    return spelt if forms else str


def _with_stable_slugs(
    topic_model: TopicModel, articles: Sequence[Article], previous: Model | None
) -> list[Topic]:
    if previous is None:
        return topic_model.topics
    members = members_of(topic_model.space, [article.id for article in articles])
    before = members_of(previous.topic_space, previous.articles.ids)
    return keep_slugs(topic_model.topics, members, previous.manifest.topics, before)


def _rounded(latent: np.ndarray) -> np.ndarray:
    n, width = latent.shape
    return round_rows(latent.ravel(), np.arange(n + 1) * width).reshape(n, width)


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


def _lists(
    vectors: Vectors,
    adapted: Adapted,
    recipe: Recipe,
    articles: Sequence[Article],
    threads: int,
    advance: Callable[[float], None],
    workers: Workers | None,
) -> RelatedLists:
    n, titles = len(articles), [article.title for article in articles]
    return build_related_lists(
        vectors, adapted, recipe, threads, progress=lambda share: advance(_LISTS_PART * share * n),
        same_text=_same_text(articles), titles=titles, workers=workers,
    )  # fmt: skip


def _manifest(
    recipe: Recipe,
    adapted: Adapted,
    trained_at: datetime | None,
    facts: CorpusFacts,
    lists: RelatedLists,
    topics: list[Topic],
    stop_words: dict[str, frozenset[str]],
    standing: list[str],
) -> Manifest:
    return Manifest(
        format=0,
        version="",
        trained_at=trained_at or datetime.now(UTC),
        recipe=recipe,
        adapted=adapted,
        corpus=facts,
        similar_above=lists.similar_above,
        hub_floor=lists.hub_floor,
        topics=topics,
        stop_words={lang: sorted(listed) for lang, listed in stop_words.items()},
        standing_lines=standing,
        digests=lists.digests,
        neighbors=ListFacts(recall_at_20=lists.recall_at_20),
        libraries={"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES},
        files={},
    )


def _facts(
    articles: Sequence[Article], columns: Articles, recipe: Recipe, counts: TermCounts, refused: int
) -> CorpusFacts:
    longest = recipe.terms.max_body_chars
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
        terms_counted=counts.distinct,
        terms_kept=len(counts.terms),
    )


def _fingerprint(articles: Sequence[Article], bodies: Strings) -> str:
    digest, encoder = hashlib.sha256(), json.JSONEncoder(default=datetime.isoformat)
    for row, article in enumerate(articles):
        body = bodies.bytes_at(row)
        digest.update(encoder.encode([*_FACTS_OF(article), len(body)]).encode())
        digest.update(body)
    return digest.hexdigest()


def _dump(estimators: dict[str, Any], path: Path) -> None:
    joblib.dump(estimators, path)
