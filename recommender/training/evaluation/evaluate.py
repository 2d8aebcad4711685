"""How good a model's lists are, by labels and without, beside what one would have shown instead."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict

from recommender.model import Model, from_microseconds, microseconds
from recommender.neighbors import NO_ROW
from recommender.training.evaluation.health import Health, health, shown, shown_among
from recommender.training.evaluation.labels import Judgements, LabelFile, judgements
from recommender.training.evaluation.measures import LIST_LENGTH, MEASURES, RESAMPLES, intervals, measured
from recommender.training.evaluation.probes import drawn, headlines_found
from recommender.training.kernels import cores

DEPTH = 50  # articles ranked for each query, for some may be dropped before the list is cut
DRAWN = 2_000  # articles whose own values a report keeps
OURS = "ours"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Estimate(_Record):
    """A mean over queries, and the two ends of its 95 % interval."""

    mean: float
    low: float
    high: float


class Quality(_Record):
    """The measures of lists of nine against labels."""

    ndcg_at_9: Estimate
    recall_at_9: Estimate
    precision_at_1: Estimate
    mrr: Estimate


class QueryValues(_Record):
    """Each measure of each query, in the order of the report's queries."""

    ndcg_at_9: list[float]
    recall_at_9: list[float]
    precision_at_1: list[float]
    mrr: list[float]


class SystemReport(_Record):
    """One way to make lists."""

    name: str  # stable, for programs
    label: str  # for people
    quality: Quality | None  # None without labels
    ours_minus_this: Quality | None  # paired; None for ours, and without labels
    per_query: QueryValues | None
    health: Health | None  # None where only the queries were ranked


class LabelFacts(_Record):
    """What quality was measured on."""

    source: str
    queries: int
    stories: int
    unknown_ids: int  # labelled, but not in the model
    bad_rows: int


class Drawn(_Record):
    """What some articles show, drawn by their ids, so that a later model can be compared on the same ones."""

    ids: list[str]
    lists: list[list[str]]  # up to nine ids for each, as shown
    headlines_found: list[bool | None]  # whether the headline alone finds its article; None: not asked


class EvaluationReport(_Record):
    """An evaluation, as `evaluate --json` writes it; two of them can be compared query by query."""

    format: int
    evaluated_at: AwareDatetime
    model_version: str  # empty for a model that is not published
    fingerprint: str  # of the corpus
    articles: int
    list_length: int
    resamples: int
    seed: int
    labels: LabelFacts | None
    query_ids: list[str]  # in the order of every `per_query`
    query_stories: list[int]  # numbers from 0; queries of one number are resampled together
    systems: list[SystemReport]  # ours first
    newest_published_at: AwareDatetime | None = None  # of what was published when the model was trained
    terms: int | None = None
    drawn: Drawn | None = None


@dataclass(frozen=True)
class System:
    """Something to compare with: how it ranks the articles for some rows of a model.

    `rank` takes the model, (m,) rows, how many to rank and the number of threads; it returns (m, depth)
    int32, the best row first, never the row itself, filled up with NO_ROW.
    """

    name: str
    label: str
    rank: Callable[[Model, np.ndarray, int, int], np.ndarray]
    most_articles: int  # in a larger corpus it ranks the queries alone, and has no health


class Progress(Protocol):
    """Is told how far an evaluation has come."""

    def step(self, name: str, total: float, unit: str) -> AbstractContextManager[Callable[[float], None]]:
        """Enter a step of so many units; the function entered is told how many more are done."""


def evaluate(
    model: Model,
    labels: LabelFile | None = None,
    *,
    systems: Sequence[System] = (),
    now: datetime | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
    threads: int | None = None,
    progress: Progress | None = None,
) -> EvaluationReport:
    """Measure the neighbours of a model, and other systems on the same articles.

    Neighbours are taken as computed at training: no filters, no freshness, no threshold. Quality judges each
    copy of an article for itself; health is that of the lists as shown, one of all copies. Without labels
    only health is measured. Raises LabelsError when no two of the labelled articles are in the model.
    """
    threads = threads or cores()
    judged = judgements(labels, model.articles) if labels else None
    bench = _Bench(model, judged, seed, resamples, threads)
    for system in (_ours(), *systems):
        told = progress.step(system.name, 1, "systems") if progress else nullcontext(lambda _: None)
        with told as advance:
            bench.run(system)
            advance(1)
    ids = [] if judged is None else [model.articles.ids[row] for row in judged.queries]
    return EvaluationReport(
        format=1,
        evaluated_at=now or datetime.now(UTC),
        model_version=model.manifest.version,
        fingerprint=model.manifest.corpus.fingerprint,
        articles=len(model.articles),
        list_length=LIST_LENGTH,
        resamples=resamples,
        seed=seed,
        labels=_label_facts(labels, judged) if labels and judged else None,
        query_ids=ids,
        query_stories=[] if judged is None else judged.stories.tolist(),
        systems=bench.reports,
        newest_published_at=newest_published_at(model),
        terms=model.manifest.corpus.terms_kept,
        drawn=_drawn(model),
    )


def newest_published_at(model: Model) -> datetime | None:
    """Return when the newest article was published, those aside that were under embargo at training."""
    published = np.asarray(model.articles.published)
    public = published[published <= microseconds(model.manifest.trained_at)]
    return from_microseconds(int(public.max())) if len(public) else None


def _drawn(model: Model) -> Drawn:
    ids = model.articles.ids
    rows = drawn(ids, DRAWN)
    lists = shown_among(model, np.array(rows, dtype=np.int64), np.ones(len(ids), dtype=bool))
    return Drawn(
        ids=[ids[row] for row in rows],
        lists=[[ids[row] for row in line if row != NO_ROW] for line in lists.tolist()],
        headlines_found=headlines_found(model, rows),
    )


@dataclass
class _Bench:
    """Runs systems one after the other, so that only one holds its lists at a time."""

    model: Model
    judged: Judgements | None
    seed: int
    resamples: int
    threads: int
    reports: list[SystemReport] = field(default_factory=list)
    _ours: np.ndarray | None = None

    def run(self, system: System) -> None:
        n = len(self.model.articles)
        whole = n <= system.most_articles
        if not whole and self.judged is None:
            return
        queries = np.arange(0) if self.judged is None else self.judged.queries
        ranked = system.rank(self.model, np.arange(n) if whole else queries, DEPTH, self.threads)
        values = None
        if self.judged is not None:
            values = measured(ranked[queries] if whole else ranked, self.judged, self.model.articles.titles)
        ours = system.name == OURS
        if ours:
            self._ours = values
        self.reports.append(
            SystemReport(
                name=system.name,
                label=system.label,
                quality=self._quality(values),
                ours_minus_this=None if ours or values is None else self._quality(self._ours - values),
                per_query=None if values is None else QueryValues(**_columns(values.T.tolist())),
                health=self._health(None if ours else ranked) if whole else None,
            )
        )

    def _health(self, ranked: np.ndarray | None) -> Health:
        """Measure the lists of a system; None stands for ours, as shown."""
        if ranked is not None:
            return health(ranked, self.model, self.threads)
        seen = shown(self.model)
        return health(seen.lists, self.model, self.threads, seen.scores, seen.listable)

    def _quality(self, values: np.ndarray | None) -> Quality | None:
        if values is None or self.judged is None:
            return None
        return _quality(values, self.judged.stories, self.seed, self.resamples)


def _ours() -> System:
    return System(OURS, "ours", lambda model, rows, *_: np.asarray(model.neighbors.rows)[rows], 2**31)


def _quality(values: np.ndarray, stories: np.ndarray, seed: int, resamples: int) -> Quality:
    found = zip(*(each.tolist() for each in intervals(values, stories, seed, resamples)), strict=True)
    return Quality(**_columns([Estimate(mean=mean, low=low, high=high) for mean, low, high in found]))


def _columns(values: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(MEASURES, values, strict=True))


def _label_facts(labels: LabelFile, judged: Judgements) -> LabelFacts:
    return LabelFacts(
        source=labels.source,
        queries=len(judged.queries),
        stories=int(judged.stories.max()) + 1,
        unknown_ids=judged.unknown_ids,
        bad_rows=labels.bad_rows,
    )
