"""Measure a model's lists, with and without labels, and compare them with other systems.

Two kinds of lists are measured, for two questions. Quality asks whether the scores are right. It needs
labels, and judges the neighbours as computed at training, with each near-duplicate judged separately. An
unlabelled article with the title of a labelled one counts neither as right nor as wrong. Health asks what
readers see. It needs no labels, and measures the lists as displayed, with one article of each near-duplicate
cluster; coverage leaves out the others.

Articles of one story are not independent, so intervals come from a bootstrap that draws whole stories. The
report contains the value of every query, so that two reports can be compared in pairs.

Plain TF-IDF is ranked with our own exact search of all pairs, so its health is measured in a large archive,
too. BM25 is too slow for that: there it ranks only the queries.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from pydantic import AwareDatetime

from recommender.displayed import LIST_LENGTH, displayed_lists, displayed_lists_among
from recommender.frozen_model import FrozenModel
from recommender.model import Model, from_microseconds, microseconds
from recommender.neighbors import NO_ROW
from recommender.summary import Summarized
from recommender.training.assembly import Progress
from recommender.training.evaluation.health import Health, health
from recommender.training.evaluation.labels import Judgements, LabelFile, judgements
from recommender.training.evaluation.measures import MEASURES, RESAMPLES, intervals, measured
from recommender.training.evaluation.probes import hash_sample, headlines_found
from recommender.training.kernels import cores
from recommender.wrong_type import wrong_type

DEPTH = 50  # articles ranked for each query; some may be dropped before the list is cut
SAMPLE_SIZE = 2_000  # articles whose lists a report contains
OURS = "ours"


class Estimate(FrozenModel):
    """A mean over queries, and the two ends of its 95 % interval."""

    mean: float
    low: float
    high: float

    def columns(self, name: str) -> dict[str, float]:
        """Return the mean and both ends as columns of a table: `name`, `name_low` and `name_high`."""
        return {name: self.mean, f"{name}_low": self.low, f"{name}_high": self.high}


class Quality(FrozenModel):
    """The measures of lists of nine against labels."""

    ndcg_at_9: Estimate
    recall_at_9: Estimate
    precision_at_1: Estimate
    mrr: Estimate


class QueryValues(FrozenModel):
    """Each measure of each query, in the order of the report's queries."""

    ndcg_at_9: list[float]
    recall_at_9: list[float]
    precision_at_1: list[float]
    mrr: list[float]


class SystemReport(FrozenModel):
    """The measures of one way to make lists."""

    name: str  # stable, for programs
    label: str  # for people
    quality: Quality | None  # None without labels
    ours_minus_this: Quality | None  # paired; None for ours, and without labels
    per_query: QueryValues | None
    health: Health | None  # None if only the queries were ranked


class LabelSummary(FrozenModel):
    """The labels that quality was measured with."""

    source: str
    queries: int
    stories: int
    unknown_ids: int  # labelled, but not in the model
    bad_rows: int


class SampledArticles(FrozenModel):
    """The lists of a sample of articles, chosen by their ids, so that a later model uses the same sample."""

    ids: list[str]
    lists: list[list[str]]  # the displayed list of each article, up to nine ids
    headlines_found: list[bool | None]  # whether the headline alone finds its article; None: not tested


class EvaluationReport(Summarized, FrozenModel):
    """An evaluation, as `evaluate --json` writes it. Two reports can be compared query by query.

    >>> report.systems[0].name
    'ours'
    """

    format: int
    evaluated_at: AwareDatetime
    model_version: str  # empty for a model that is not published
    fingerprint: str  # of the corpus
    articles: int
    list_length: int
    resamples: int
    seed: int
    labels: LabelSummary | None
    query_ids: list[str]  # in the order of every `per_query`
    query_stories: list[int]  # numbers from 0; queries with the same number are resampled together
    systems: list[SystemReport]  # ours first
    newest_published_at: AwareDatetime | None = None  # of the articles public when the model was trained
    terms: int | None = None
    drawn: SampledArticles | None = None

    def summary(self) -> dict[str, str]:
        """Return what was measured, and the main measures of each system."""
        labels = self.labels
        about = f"{labels.queries:,} queries of {labels.stories:,} stories" if labels else "none"
        systems = {system.label: _main_measures(system) for system in self.systems}
        return {"Articles": f"{self.articles:,}", "Labels": about, **systems}


@dataclass(frozen=True)
class System:
    """A system to compare with: a name and a function that ranks articles for given rows of a model.

    `rank` receives the model, (m,) rows, the number of articles to rank and the number of threads. It returns
    (m, depth) int32, the best row first, never the row itself, padded with NO_ROW.
    """

    name: str
    label: str
    rank: Callable[[Model, np.ndarray, int, int], np.ndarray]
    most_articles: int  # in a larger corpus it ranks only the queries, and has no health


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

    The neighbours are those computed at training: no filters, no freshness, no threshold. Quality judges each
    near-duplicate separately. Health is measured on the lists as displayed, with one article per
    near-duplicate cluster. Without labels only health is measured. Raises LabelsError when the model does not
    contain two labelled articles that belong together.

    >>> report = recommender.evaluate(model, labels)
    >>> report.labels.queries
    184
    """
    _check_types(model, labels)
    threads = threads or cores()
    judged = judgements(labels, model.articles) if labels else None
    evaluator = _Evaluator(model, judged, seed, resamples, threads)
    for system in (_our_system(), *systems):
        step = progress.step(system.name, 1, "systems") if progress else nullcontext(lambda _: None)
        with step as advance:
            evaluator.run(system)
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
        labels=_label_summary(labels, judged) if labels and judged else None,
        query_ids=ids,
        query_stories=[] if judged is None else judged.stories.tolist(),
        systems=evaluator.reports,
        newest_published_at=newest_published_at(model),
        terms=model.manifest.corpus.terms_kept,
        drawn=_sampled_articles(model, threads),
    )


def _check_types(model: object, labels: object) -> None:
    if not isinstance(model, Model):
        cure = "call evaluate(train(corpus).model) or evaluate(open_current())"
        raise wrong_type("evaluate", "a Model", model, cure)
    if labels is not None and not isinstance(labels, LabelFile):
        cure = "call read_labels(path) or LabelFile.of_stories(pairs)"
        raise wrong_type("evaluate", "a LabelFile", labels, cure)


def _main_measures(system: SystemReport) -> str:
    parts = []
    if system.quality:
        parts.append(f"nDCG@9 {system.quality.ndcg_at_9.mean:.3f}")
    if system.health:
        parts.append(f"coverage {system.health.coverage:.3f}")
    return ", ".join(parts)


def newest_published_at(model: Model) -> datetime | None:
    """Return the publication time of the newest article that was public (not under embargo) at training."""
    published = np.asarray(model.articles.published)
    public = published[published <= microseconds(model.manifest.trained_at)]
    return from_microseconds(int(public.max())) if len(public) else None


def _sampled_articles(model: Model, threads: int) -> SampledArticles:
    ids = model.articles.ids
    rows = hash_sample(ids, SAMPLE_SIZE)
    lists = displayed_lists_among(model, np.array(rows, dtype=np.int64), np.ones(len(ids), dtype=bool))
    return SampledArticles(
        ids=[ids[row] for row in rows],
        lists=[[ids[row] for row in items if row != NO_ROW] for items in lists.tolist()],
        headlines_found=headlines_found(model, rows, threads=threads),
    )


@dataclass
class _Evaluator:
    """Runs systems one after the other, so that only the lists of one system are in memory at a time."""

    model: Model
    judged: Judgements | None
    seed: int
    resamples: int
    threads: int
    reports: list[SystemReport] = field(default_factory=list)
    _our_values: np.ndarray | None = None

    def run(self, system: System) -> None:
        n = len(self.model.articles)
        ranks_all = n <= system.most_articles
        if not ranks_all and self.judged is None:
            return
        queries = np.arange(0) if self.judged is None else self.judged.queries
        ranked = system.rank(self.model, np.arange(n) if ranks_all else queries, DEPTH, self.threads)
        values = None
        if self.judged is not None:
            judged_lists = ranked[queries] if ranks_all else ranked
            values = measured(judged_lists, self.judged, self.model.articles.titles)
        ours = system.name == OURS
        if ours:
            self._our_values = values
        self.reports.append(
            SystemReport(
                name=system.name,
                label=system.label,
                quality=self._quality(values),
                ours_minus_this=None if ours or values is None else self._quality(self._our_values - values),
                per_query=None if values is None else QueryValues(**_by_measure(values.T.tolist())),
                health=self._health(None if ours else ranked) if ranks_all else None,
            )
        )

    def _health(self, ranked: np.ndarray | None) -> Health:
        """Measure the lists of a system; None means our own lists as displayed."""
        if ranked is not None:
            return health(ranked, self.model, self.threads)
        displayed = displayed_lists(self.model)
        return health(displayed.lists, self.model, self.threads, displayed.scores, displayed.listable)

    def _quality(self, values: np.ndarray | None) -> Quality | None:
        if values is None or self.judged is None:
            return None
        return _quality(values, self.judged.stories, self.seed, self.resamples)


def _our_system() -> System:
    return System(OURS, "ours", lambda model, rows, *_: np.asarray(model.neighbors.rows)[rows], 2**31)


def _quality(values: np.ndarray, stories: np.ndarray, seed: int, resamples: int) -> Quality:
    columns = (column.tolist() for column in intervals(values, stories, seed, resamples))
    estimates = [Estimate(mean=mean, low=low, high=high) for mean, low, high in zip(*columns, strict=True)]
    return Quality(**_by_measure(estimates))


def _by_measure(values: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(MEASURES, values, strict=True))


def _label_summary(labels: LabelFile, judged: Judgements) -> LabelSummary:
    return LabelSummary(
        source=labels.source,
        queries=len(judged.queries),
        stories=int(judged.stories.max()) + 1,
        unknown_ids=judged.unknown_ids,
        bad_rows=labels.bad_rows,
    )
