"""Facts about a model and its lists, computed once for each model: who is in most lists, and the topics."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar
from weakref import ref

import numpy as np

from recommender.artifact import ArtifactError, current_version, versions
from recommender.displayed import crowders, displayed_lists, displayed_lists_among, occurrences
from recommender.history import VersionFacts, version_facts
from recommender.model import Model
from recommender.neighbors import NearDuplicates, top_k
from recommender.serving.admin.charts import BubbleMap, bubble_map
from recommender.serving.admin.rule_views import kinds_by_article
from recommender.serving.rules.active import ActiveRules

_EDGES = (0, 1, 3, 6, 10, 19, 37, 73)  # of the numbers of lists in the histogram
_MAP_WIDTH = 1080
_MOST_LISTED, _MOST_CLUSTERS = 500, 20  # more than are shown, as some may be withdrawn

Subject = TypeVar("Subject")
Fact = TypeVar("Fact")


@dataclass(frozen=True)
class ListFacts:
    """How often the lists of nine contain each article, as trained: before rules, freshness and filters."""

    listed: np.ndarray  # (n,) int32, the number of lists that contain each article
    most_listed: np.ndarray  # the rows in the most lists, most lists first
    crowders: int  # articles in more than three times as many lists as the mean
    orphans: np.ndarray  # rows in no list, without hidden near-duplicates, the newest first
    mean: float
    histogram: tuple[tuple[str, int], ...]  # numbers of lists, and how many articles are in so many
    topics: BubbleMap

    @classmethod
    def of(cls, model: Model) -> "ListFacts":
        """Return the facts about a model."""
        displayed = displayed_lists(model)
        listed = occurrences(displayed.lists).astype(np.int32)
        is_orphan = displayed.listable & (listed == 0)
        newest = np.asarray(model.articles.newest)
        topics = model.manifest.topics
        return cls(
            listed=listed,
            most_listed=top_k(listed, _MOST_LISTED, np.flatnonzero(listed)),
            crowders=int(np.count_nonzero(crowders(listed))),
            orphans=newest[is_orphan[newest]],
            mean=float(listed.mean()) if len(listed) else 0.0,
            histogram=tuple(_histogram(listed[displayed.listable])),
            topics=bubble_map(
                model.topic_space.centroids,
                [topic.articles for topic in topics],
                [topic.name for topic in topics],
                _MAP_WIDTH,
            ),
        )


@dataclass(frozen=True)
class CopyFacts:
    """The clusters of near-duplicates in a snapshot."""

    clusters: int
    articles: int  # in all clusters
    largest: tuple[tuple[int, ...], ...]  # the rows of clusters, those of most articles first

    @classmethod
    def of(cls, copies: NearDuplicates, count: int) -> "CopyFacts":
        """Return the facts, with so many of the largest clusters."""
        rows = copies.grouped
        first, starts, sizes = np.unique(copies.first[rows], return_index=True, return_counts=True)
        largest = np.argsort(-sizes, kind="stable")[:count]
        spans = zip(starts[largest].tolist(), sizes[largest].tolist(), strict=True)
        return cls(len(first), len(rows), tuple(tuple(rows[at : at + size].tolist()) for at, size in spans))


@dataclass(frozen=True)
class VersionHistory:
    """The published versions, oldest first, or why the models folder cannot be read."""

    versions: tuple[VersionFacts, ...] = ()
    fault: str = ""

    @classmethod
    def read(cls, models_dir: Path) -> "VersionHistory":
        """Read the facts from the models folder."""
        try:
            return cls(tuple(version_facts(models_dir, check_arrays=False)))
        except (ArtifactError, OSError) as error:  # the second: a version was removed in the meantime
            return cls(fault=str(error))


class _OfLatest(Generic[Subject, Fact]):
    """What was computed for the object that was asked about last. It does not keep that object alive."""

    def __init__(self, compute: Callable[[Subject], Fact]) -> None:
        self._compute, self._lock = compute, Lock()
        self._latest: tuple[ref[Subject], Fact] | None = None

    def __call__(self, subject: Subject) -> Fact:
        """Return what is computed for an object."""
        with self._lock:
            if self._latest is None or self._latest[0]() is not subject:
                self._latest = ref(subject), self._compute(subject)
            return self._latest[1]


class FactsCache:
    """The facts about the current model, copies, rules and versions; computed again only if these change.

    It keeps no model open that the worker has replaced. `lists` has the facts about the lists of a model,
    `copies` those about the near-duplicates of a snapshot, `kinds` those of the active rules that name each
    article.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self.lists = _OfLatest[Model, ListFacts](ListFacts.of)
        self.copies = _OfLatest[NearDuplicates, CopyFacts](
            lambda copies: CopyFacts.of(copies, _MOST_CLUSTERS)
        )
        self.kinds = _OfLatest[ActiveRules, dict[str, tuple[str, ...]]](
            lambda active: kinds_by_article(active.rules)
        )
        self._history: tuple[tuple[str, ...] | None, VersionHistory] | None = None

    def history(self, models_dir: Path) -> VersionHistory:
        """Return the published versions."""
        state = _state_of(models_dir)
        with self._lock:
            if state is None or self._history is None or self._history[0] != state:
                self._history = state, VersionHistory.read(models_dir)
            return self._history[1]


def _state_of(models_dir: Path) -> tuple[str, ...] | None:
    """Return the current version and the names of all; None if that changes right now."""
    try:
        return current_version(models_dir), *versions(models_dir)
    except (ArtifactError, OSError):
        return None


def lists_with(model: Model, row: int) -> list[int]:
    """Return the articles whose lists of nine contain the article of a row, in row order."""
    rows = np.flatnonzero((model.neighbors.rows == row).any(axis=1))
    if not len(rows):
        return []
    lists = displayed_lists_among(model, rows, np.ones(len(model.articles), dtype=bool))
    containing: list[int] = rows[(lists == row).any(axis=1)].tolist()
    return containing


def _histogram(listed: np.ndarray) -> Iterator[tuple[str, int]]:
    """Yield how many articles are in how many lists, without empty bins at the end."""
    counts = np.histogram(listed, [*_EDGES, np.inf])[0].tolist()
    while counts and not counts[-1]:
        counts.pop()
    for number, count in enumerate(counts):
        first, last = _EDGES[number], (*_EDGES[1:], 0)[number] - 1
        name = f"{first} or more" if last < 0 else f"{first}\u2013{last}" if last > first else f"{first}"
        yield name, count
