"""Train a model from articles, together with the scikit-learn estimators for notebooks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from stop_words import StopWordError, get_stop_words

from recommender.article import Article
from recommender.artifact import ExtraFiles, publish
from recommender.columns import Strings
from recommender.embedding import Vocabulary
from recommender.fixed_point import round_matrix, round_rows
from recommender.manifest import Adapted, Topic
from recommender.model import Model, term_rules
from recommender.model_arrays import arrays_of
from recommender.recipe import Recipe
from recommender.summary import Summarized
from recommender.text import TermRules, base_language, words
from recommender.training import frames
from recommender.training.assembly import Fitted, Progress, Steps, finished_model, with_given
from recommender.training.kernels import Workers, cores
from recommender.training.neighbors.kept import StoredCandidates
from recommender.training.readers.corpus import Corpus, read_articles
from recommender.training.readers.frames import DataFrame
from recommender.training.terms.adapt import adapt
from recommender.training.terms.counting import TermCounts, count_terms
from recommender.training.terms.languages import inverse_document_frequency, without_function_words
from recommender.training.terms.standing import without_standing_lines
from recommender.training.terms.texts import Texts
from recommender.training.terms.vectorizer import (
    PackedVectorizer,
    fitted_vectorizer,
    term_weights,
    tfidf,
)  # fmt: skip
from recommender.training.topics.fitting import TopicModel, fit_topics
from recommender.training.topics.latent import LatentSpace, fit_latent_space
from recommender.training.topics.naming import NamingTerms
from recommender.training.topics.slugs import keep_slugs, members_of
from recommender.wrong_type import wrong_type

ESTIMATORS = "estimators.joblib"
CANDIDATES = "candidates"  # begins the names of their files
_PART = 0.5  # of a step, which is reported while it runs; the rest cannot be divided


class TrainingError(ValueError):
    """A corpus that no model can be trained on; the message says why.

    >>> recommender.train([])
    Traceback (most recent call last):
    recommender.training.train.TrainingError: the corpus has no articles
    """


@dataclass(frozen=True, repr=False)
class Trained(Summarized):
    """A model, and the training results that serving does not need.

    They are separate from `Model`, which is what a worker opens. They are published beside it, for notebooks.

    >>> list(trained.seconds)
    ['terms', 'latent space', 'topics', 'neighbours', 'articles']
    """

    model: Model
    candidates: StoredCandidates  # for an incremental training
    seconds: dict[str, float]  # by step, in order
    space: LatentSpace
    clusters: KMeans | None

    def publish(self, models_dir: str | Path = "models") -> str:
        """Publish the model with the estimators beside it, and return the name of the version.

        >>> model = recommender.open_version(models_dir, trained.publish(models_dir))
        """
        return publish(self.model, models_dir, extra_files=self.extra_files())

    def neighbors_frame(self, k: int = 9) -> pd.DataFrame:
        """Return `recommender.neighbors_frame` of the model."""
        return frames.neighbors_frame(self.model, k)

    def topics_frame(self) -> pd.DataFrame:
        """Return `recommender.topics_frame` of the model."""
        return frames.topics_frame(self.model)

    def articles_frame(self) -> pd.DataFrame:
        """Return `recommender.articles_frame` of the model."""
        return frames.articles_frame(self.model)

    def summary(self) -> dict[str, str]:
        """Return the facts of the model, and the time of its training."""
        seconds = {"Seconds": f"{sum(self.seconds.values()):.1f}"}
        return {**self.model.summary(), **seconds}

    def estimators(self) -> dict[str, Any]:
        """Return the fitted scikit-learn objects by name; `models/README.md` says how to use them."""
        return {"vectorizer": fitted_vectorizer(*self._vectorizer_arguments), **self._other_estimators}

    def extra_files(self) -> ExtraFiles:
        """Return what `publish` writes beside the model: the estimators, and all candidates."""
        packed = {"vectorizer": PackedVectorizer(self._vectorizer_arguments), **self._other_estimators}
        arrays = {f"{CANDIDATES}.{name}.npy": array for name, array in arrays_of(self.candidates)}
        return {ESTIMATORS: lambda path: _dump(packed, path), **arrays}

    @property
    def _vectorizer_arguments(self) -> tuple[TermRules, Strings, np.ndarray, int, int]:
        model, adapted = self.model, self.model.manifest.adapted
        terms = replace(model.vocabulary.terms)  # without its cached views, which cannot be pickled
        return model.rules, terms, model.vocabulary.weights, adapted.min_df, adapted.max_df

    @property
    def _other_estimators(self) -> dict[str, Any]:
        return {"latent_terms": self.space.terms, "svd": self.space.estimator, "topics": self.clusters}


def train(
    articles: Corpus | DataFrame | Iterable[Article],
    recipe: Recipe | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    now: datetime | None = None,
    refused: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
    previous: Model | None = None,
    workers: Workers | None = None,
) -> Trained:
    """Train a model on a corpus, a data frame or articles, in any order.

    A data frame is read by `read_articles` with these `columns`; for files, call it yourself. The same
    articles, recipe and number of threads give the same arrays, byte for byte. `refused` is recorded in the
    manifest. Topics of the `previous` model keep their slugs; nothing else depends on it. `workers`, such as
    a `cluster`, read words and score pairs, with the same result. Raises TrainingError if there is no
    article, if two articles have the same id, or if no term is left.

    >>> trained = recommender.train(corpus)
    >>> (article_id, score), *_ = trained.model.similar("1001", k=1)
    >>> article_id
    '3012'
    """
    recipe = _checked_recipe(recipe)
    given, refused_rows = _articles_of(articles, columns)
    ordered, refused = in_order(given), refused or refused_rows
    n, threads = len(ordered), threads or cores()
    steps = Steps(progress)
    stop_words = _stop_words(ordered) if recipe.terms.stop_words else {}

    with steps.run("terms", n, "articles") as advance:
        standing, texts = _compared_texts(ordered, recipe, threads)
        adapted = adapt(recipe, ordered, texts, threads, vector_length(ordered))
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
        latent = round_matrix(space.project(rows, threads))
        vocabulary = _vocabulary(counts, weights, space)
        advance(1)
    with steps.run("topics", 1, "fits") as advance:
        naming = partial(NamingTerms.of, rows, counts.df, counts.terms, _spelt(counts.forms))
        topic_model = fit_topics(latent, naming, ordered, recipe.topics, recipe.seed, stop_words, threads)
        topics = _with_stable_slugs(topic_model, ordered, previous)
        advance(1)
    fitted = Fitted(
        recipe, adapted, stop_words, standing, rows, with_given(latent, ordered, adapted), vocabulary,
        topic_model.space, topics, counts.distinct,
    )  # fmt: skip
    model, candidates = finished_model(fitted, ordered, steps, threads, now, refused, workers=workers)
    return Trained(model, candidates, steps.seconds, space, topic_model.estimator)


def _checked_recipe(recipe: Recipe | None) -> Recipe:
    if recipe is not None and not isinstance(recipe, Recipe):
        raise wrong_type("train", "a Recipe", recipe, "call Recipe.from_toml(path) or Recipe().replace(…)")
    return recipe or Recipe()


def _articles_of(source: Any, columns: Mapping[str, str] | None) -> tuple[Iterable[Article], int]:
    """Return the articles in a source, and the number of its refused rows."""
    if isinstance(source, DataFrame):
        source = read_articles(source, columns=columns)
    elif columns:
        raise TypeError("columns are only for a data frame; map those of files with read_articles")
    if isinstance(source, Corpus):
        return source.articles, source.report.refused_rows
    wanted = "a Corpus, a data frame or articles"
    if isinstance(source, str | Path):
        raise wrong_type("train", wanted, source, f"call train(read_articles({str(source)!r}))")
    if isinstance(source, bytes | Mapping) or not isinstance(source, Iterable):
        raise wrong_type("train", wanted, source, "call train(read_articles(…))")
    return source, 0


def in_order(articles: Iterable[Article]) -> list[Article]:
    """Return the articles in the order of a model's rows.

    Raises TrainingError if there is none, or if two have the same id.
    """
    given = list(articles)
    for article in given:
        if not isinstance(article, Article):
            raise wrong_type("train", "articles", article, "for rows, call train(pandas.DataFrame(rows))")
    ordered = sorted(given, key=lambda article: article.id.encode())
    if not ordered:
        raise TrainingError("the corpus has no articles")
    for before, article in pairwise(ordered):
        if before.id == article.id:
            raise TrainingError(f"two articles have the id {article.id!r}")
    return ordered


def vector_length(articles: Iterable[Article]) -> int:
    """Return how many numbers the articles' vectors have, 0 without any.

    Raises TrainingError if their lengths differ.
    """
    lengths = {len(article.vector): article.id for article in articles if article.vector is not None}
    if len(lengths) > 1:
        (one, first), (other, second), *_ = lengths.items()
        raise TrainingError(
            f"the vector of article {first!r} has {one} numbers, that of {second!r} has {other}; "
            "compute all vectors with one model"
        )
    return next(iter(lengths), 0)


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


def _dump(estimators: dict[str, Any], path: Path) -> None:
    joblib.dump(estimators, path)
