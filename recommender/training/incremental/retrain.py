"""Train on a corpus that has hardly changed since a version was published, in a fraction of the time.

The vocabulary, the weights of terms, the latent space, the topics and all parameters that depend on the
corpus stay those of the version, and so do the vectors and penalties of unchanged articles. New and changed
articles get the vectors that serving gives them. Then their similarity to all articles is computed, and that
of all other pairs is known (`neighbors.kept`). The result equals that of `retrain` with `from_scratch`, which
counts the terms of all articles and scores all pairs, byte for byte.

What is fitted becomes outdated. So the drift of the corpus is measured and recorded in the manifest, summed
up over successive incremental trainings. Beyond a limit, everything is fitted again.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from recommender.article import Article
from recommender.artifact import ArtifactError, open_arrays
from recommender.fixed_point import round_matrix
from recommender.manifest import Topic
from recommender.model import Model, Vectors
from recommender.provenance import Drift
from recommender.recipe import Recipe
from recommender.topic_space import TopicSpace
from recommender.training.assembly import (
    Fitted,
    Progress,
    Steps,
    finished_model,
    library_versions,
    with_given,
)
from recommender.training.incremental.changes import Changes
from recommender.training.incremental.known_terms import KnownTerms
from recommender.training.kernels import Workers, cores
from recommender.training.neighbors.kept import KeptLists, StoredCandidates
from recommender.training.topics.fitting import assign_topics, predictor_of
from recommender.training.topics.latent import LatentSpace, known_space
from recommender.training.train import CANDIDATES, Trained, in_order, train, vector_length

MAX_DRIFT = 0.05  # of the changed articles and of the unknown words; above, everything is fitted again
_UNRELATED = ("gate", "freshness")  # sections of a recipe that change no array


class CannotContinueError(ValueError):
    """Everything must be fitted again; the message says why."""


class _DriftError(CannotContinueError):
    pass


@dataclass(frozen=True)
class Published:
    """A published version, and the candidates of its articles."""

    model: Model
    candidates: StoredCandidates

    @classmethod
    def of(cls, model: Model, models_dir: str | Path, recipe: Recipe) -> "Published":
        """Open what is necessary to continue a version with the same recipe.

        Raises CannotContinueError if the version was trained with another recipe, with other versions of
        libraries, or by a release that did not store candidates.
        """
        if keys := _differing(model.manifest.recipe, recipe):
            raise CannotContinueError(
                f"{model.manifest.version} was trained with another recipe ({', '.join(keys)})"
            )
        before, now = model.manifest.libraries, library_versions()
        if before != now:
            changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
            raise CannotContinueError(
                f"{model.manifest.version} was trained with other versions of {', '.join(changed)}"
            )
        names = [f"{CANDIDATES}.{field.name}.npy" for field in fields(StoredCandidates)]
        try:
            stored = StoredCandidates(*open_arrays(models_dir, model.manifest.version, names))
        except ArtifactError as error:
            raise CannotContinueError(str(error)) from error
        return cls(model, stored)


def train_incrementally(
    articles: Iterable[Article],
    recipe: Recipe,
    published: Published,
    *,
    max_drift: float = MAX_DRIFT,
    now: datetime | None = None,
    refused: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
    note: Callable[[str], None] = lambda _: None,
    workers: Workers | None = None,
) -> Trained:
    """Return `retrain` of the articles, or `train` if they have drifted by more than `max_drift`.

    In the second case `note` is called with a sentence about the drift, and the `workers` do their part.
    """
    ordered = in_order(articles)
    try:
        return retrain(
            ordered, recipe, published, max_drift=max_drift, now=now, refused=refused, threads=threads,
            progress=progress,
        )  # fmt: skip
    except _DriftError as drift:
        note(str(drift))
    return train(
        ordered,
        recipe,
        now=now,
        refused=refused,
        threads=threads,
        progress=progress,
        previous=published.model,
        workers=workers,
    )


def retrain(
    articles: Iterable[Article],
    recipe: Recipe,
    published: Published,
    *,
    max_drift: float = 1.0,
    from_scratch: bool = False,
    now: datetime | None = None,
    refused: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train on the articles with everything that was fitted for a published version.

    With `from_scratch`, no vector and no similarity of the version is used. The result is the same. Raises
    CannotContinueError if the corpus has drifted by more than `max_drift`.
    """
    model, ordered, steps = published.model, in_order(articles), Steps(progress)
    n, threads = len(ordered), threads or cores()
    with steps.run("terms", n, "articles") as advance:
        _check_vectors(ordered, recipe, model)
        changes = Changes.of(ordered, model)
        known = _counted(ordered, np.arange(n) if from_scratch else changes.rows, model, threads)
        compared = _counted(ordered, changes.compared, model, threads)
        changed = _counted(ordered, changes.rows, model, threads) if from_scratch else known
        drift = changes.drift(model, changed, compared)
        _check(drift, max_drift, len(changes.rows), changes.removed)
        row_of = np.full(n, -1, dtype=np.int64) if from_scratch else changes.row_of
        rows = _joined(row_of, model.vectors, known.rows)
        advance(n)
    with steps.run("latent space", 1, "fits") as advance:
        space = known_space(model.vocabulary.latent_terms, model.vocabulary.components)
        latent = _latent(row_of, model, space, known.rows, ordered, threads)
        advance(1)
    with steps.run("topics", 1, "fits") as advance:
        topic_space, topics = _topics(latent, model)
        advance(1)
    fitted = Fitted(
        recipe, model.manifest.adapted, model.rules.stop_words, model.manifest.standing_lines, rows, latent,
        model.vocabulary, topic_space, topics, model.manifest.corpus.terms_counted,
    )  # fmt: skip
    before = model.manifest
    kept = KeptLists(
        published.candidates, model.neighbors, model.corrections, model.copies, changes.row_of,
        before.hub_floor, before.digests, before.similar_above, score_all=from_scratch,
    )  # fmt: skip
    result, candidates = finished_model(fitted, ordered, steps, threads, now, refused, kept, drift)
    return Trained(result, candidates, steps.seconds, space, predictor_of(topic_space.centroids))


def _differing(before: Recipe, now: Recipe) -> list[str]:
    """Return the keys of a recipe that differ and change arrays, such as `terms.min_df`."""
    old, new = (recipe.model_dump(exclude=set(_UNRELATED)) for recipe in (before, now))
    keys = []
    for section, values in old.items():
        if isinstance(values, dict):
            keys += [f"{section}.{key}" for key in values if values[key] != new[section][key]]
        elif values != new[section]:
            keys.append(section)
    return keys


def _counted(articles: Sequence[Article], rows: np.ndarray, model: Model, threads: int) -> KnownTerms:
    return KnownTerms.of([articles[row] for row in rows.tolist()], model.vocabulary, model.rules, threads)


def _check_vectors(articles: Sequence[Article], recipe: Recipe, model: Model) -> None:
    """Raise _DriftError if the articles have other vectors than those of the model."""
    length = vector_length(articles) if recipe.neighbors.vector_weight else 0
    if length != (before := model.manifest.adapted.vector_length):
        version = model.manifest.version
        raise _DriftError(f"the articles have vectors of {length} numbers, those of {version} have {before}")


def _check(drift: Drift, most: float, changed: int, removed: int) -> None:
    """Raise _DriftError if the drift is above the limit."""
    if max(drift.changed_share, drift.unknown_terms) > most:
        raise _DriftError(
            f"{changed:,} articles are new or changed and {removed:,} removed: since {drift.fitted}, "
            f"{drift.changed_share:.1%} have changed and {drift.unknown_terms:.1%} more of their words are "
            f"unknown; the limit is {most:.1%}"
        )


def _joined(row_of: np.ndarray, before: Vectors, others: csr_array) -> csr_array:
    """Return the rows of the version at `row_of`, and the `others` in order where it is -1."""
    is_kept, n_before = row_of >= 0, len(before.offsets) - 1
    source = np.where(is_kept, row_of, n_before + np.cumsum(~is_kept) - 1)
    lengths = np.concatenate([np.diff(before.offsets), np.diff(others.indptr)])[source]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    columns, values = np.empty(offsets[-1], dtype=np.int32), np.empty(offsets[-1], dtype=np.float32)
    # Consecutive rows from the same side are copied together.
    edges = np.flatnonzero((np.diff(source) != 1) | (np.diff(is_kept) != 0)) + 1
    for start, end in zip([0, *edges.tolist()], [*edges.tolist(), len(source)], strict=True):
        place = slice(offsets[start], offsets[end])
        if is_kept[start]:
            entries = slice(before.offsets[source[start]], before.offsets[source[end - 1] + 1])
            columns[place], values[place] = before.columns[entries], before.values[entries]
        else:
            first, last = source[start] - n_before, source[end - 1] - n_before
            entries = slice(others.indptr[first], others.indptr[last + 1])
            columns[place], values[place] = others.indices[entries], others.data[entries]
    indptr = offsets.astype(np.int32 if offsets[-1] <= np.iinfo(np.int32).max else np.int64)
    return csr_array((values, columns, indptr), shape=(len(row_of), others.shape[1]))


def _latent(
    row_of: np.ndarray,
    model: Model,
    space: LatentSpace,
    others: csr_array,
    articles: Sequence[Article],
    threads: int,
) -> np.ndarray:
    """Return the latent vectors of the version at `row_of`, and those of the others where it is -1."""
    is_kept, before = row_of >= 0, model.vectors
    latent = np.empty((len(row_of), before.latent.shape[1]), dtype=np.float32)
    latent[is_kept] = before.latent[row_of[is_kept]]
    changed = [articles[row] for row in np.flatnonzero(~is_kept).tolist()]
    projected = round_matrix(space.project(others, threads))
    latent[~is_kept] = with_given(projected, changed, model.manifest.adapted)
    return latent


def _topics(latent: np.ndarray, model: Model) -> tuple[TopicSpace, list[Topic]]:
    """Return the topics of the model, and the nearest one of each article."""
    centroids = np.asarray(model.topic_space.centroids)
    if not len(centroids):
        return TopicSpace(centroids, np.full(len(latent), -1, dtype=np.int32)), []
    first = assign_topics(latent[:, : centroids.shape[1]], centroids)
    sizes = np.bincount(first[first >= 0], minlength=len(centroids)).tolist()
    topics = [
        topic.model_copy(update={"articles": size})
        for topic, size in zip(model.manifest.topics, sizes, strict=True)
    ]
    return TopicSpace(centroids, first), topics
