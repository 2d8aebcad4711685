"""The quality gate: whether a model may be published, told in numbers and in words."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from recommender.article import Article
from recommender.model import GatePassage, Model
from recommender.neighbors import NO_ROW
from recommender.recipe import Gate
from recommender.training.evaluation.evaluate import Estimate, EvaluationReport, newest_published_at
from recommender.training.evaluation.health import agreement
from recommender.training.evaluation.labels import LabelFile
from recommender.training.evaluation.measures import intervals
from recommender.training.evaluation.probes import misplaced, topic_fit
from recommender.training.readers.corpus import ReadingReport
from recommender.training.release.previous import Baseline, CorpusSummary, Pairs, SharedLists

MOST_CHANGED = 10  # articles that a report names
_LEAST_ARTICLES = 150  # of fewer, intervals are so wide that an honest model would be refused;
_LEAST_STORIES = 30  # likewise of labels: the upper end decides then, so that a clear loss is still seen
_LEAST_HEADLINES = 20  # asked for, for a floor
_PARTIAL = 2  # times the margin, where topics of the old model are the judge: they favour its own lists
_PLACED = 20  # articles that are looked for where the service would put them
_RESAMPLES = 2_000
_SHRUNK, _TERMS_LOST = 0.1, 0.5  # of the previous model's


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Check(_Record):
    """One value beside its bound. None: nothing to measure it on, which passes."""

    name: str
    label: str
    value: float | None
    bound: float
    side: Literal["at least", "at most"]

    @property
    def passed(self) -> bool:
        """Whether the bound holds."""
        if self.value is None:
            return True
        return self.value >= self.bound if self.side == "at least" else self.value <= self.bound

    @property
    def reason(self) -> str:
        """Why a model is refused that fails here."""
        return f"{self.label} {self.found}, not {self.side} {self.bound:g}"

    @property
    def found(self) -> str:
        """The value for people, empty where there is none."""
        if self.value is None:
            return ""
        return f"{self.value:,.0f}" if self.name == "articles" else f"{self.value:.4g}"


class Comparison(_Record):
    """One measure of the articles or queries that both models know, new beside old."""

    name: str
    label: str
    count: int  # of articles or queries
    new: float
    old: float
    difference: Estimate  # of new - old
    margin: float
    enough: bool  # of them, for the lower end of the interval to decide; else the upper one does

    @property
    def decisive(self) -> float:
        """The end of the interval that must not lie below the margin."""
        return self.difference.low if self.enough else self.difference.high

    @property
    def passed(self) -> bool:
        """Whether the new model is not worse by more than the margin."""
        return self.decisive >= -self.margin

    @property
    def reason(self) -> str:
        """Why a model is refused that fails here."""
        change = f"{self.label} {self.old:.3f} before, {self.new:.3f} now"
        end = "lower" if self.enough else "upper"
        return f"{change} ({end} bound {self.decisive:+.3f}, margin {self.margin:g})"


class Guard(_Record):
    """Something about the corpus or the model that tells an accident."""

    name: str
    detail: str
    passed: bool


class Changed(_Record):
    """An article whose list changed much."""

    id: str
    title: str
    overlap: float  # share of the list of nine that stayed
    before: list[str]  # the titles, best first
    after: list[str]


class Verdict(_Record):
    """What the gate found."""

    checks: list[Check]
    guards: list[Guard]
    comparisons: list[Comparison]
    compared_with: str | None
    not_compared: str | None  # why not, where there is something to compare with
    articles_in_common: int | None
    list_overlap: float | None  # mean share of a list of nine that stayed; never refuses
    most_changed: list[Changed]

    @property
    def reasons(self) -> list[str]:
        """Why the model is refused; empty where it may pass."""
        found: Sequence[Check | Comparison] = (*self.checks, *self.comparisons)
        told = [each.detail for each in self.guards if not each.passed]
        return told + [each.reason for each in found if not each.passed]

    @property
    def passage(self) -> GatePassage:
        """What the manifest keeps of a model that is published."""
        return GatePassage(
            outcome="overridden" if self.reasons else "passed",
            reasons=self.reasons,
            compared_with=self.compared_with,
            not_compared=self.not_compared,
            list_overlap=self.list_overlap,
        )


def judge(
    model: Model,
    report: EvaluationReport,
    *,
    reading: ReadingReport | None = None,
    baseline: Baseline | None = None,
    labels: LabelFile | None = None,
) -> Verdict:
    """Judge a model by its recipe's `gate`, and beside a baseline where there is one.

    `report` is the model's own evaluation, by `labels` where they are given. Beside a baseline that has no
    article in common with the model nothing is compared, nor guarded: it is another site's.
    """
    gate = model.manifest.recipe.gate
    checks, guards = list(_checks(model, report, gate, reading)), [_in_place(model, report)]
    shared, in_common, not_compared, comparisons = None, None, None, []
    if baseline is not None and not any(map(baseline.knows, _articles(model, baseline))):
        not_compared = f"nothing in common with {baseline.name}: not compared"
        baseline = None
    if baseline is not None:
        in_common = int((baseline.known(model) >= 0).sum())
        guards += _guards(model, baseline)
        shared = baseline.lists(model)
        comparisons = list(_comparisons(model, report, baseline, shared, labels, gate.margin))
    overlap = None if shared is None else overlaps(shared)
    return Verdict(
        checks=checks,
        guards=guards,
        comparisons=comparisons,
        compared_with=baseline.name if baseline else None,
        not_compared=not_compared,
        articles_in_common=in_common,
        list_overlap=float(overlap.mean()) if overlap is not None and len(overlap) else None,
        most_changed=[] if shared is None or overlap is None else _most_changed(model, shared, overlap),
    )


def overlaps(shared: SharedLists) -> np.ndarray:
    """Return the share of each list that stands in both, (m,) float64; 1 where both are empty."""
    same = (shared.new[:, :, None] == shared.old[:, None, :]) & (shared.new != NO_ROW)[:, :, None]
    longer = np.maximum((shared.new != NO_ROW).sum(axis=1), (shared.old != NO_ROW).sum(axis=1))
    return np.where(longer > 0, same.any(axis=2).sum(axis=1) / np.maximum(longer, 1), 1.0)


def _articles(model: Model, baseline: Baseline) -> Iterator[Article]:
    """Yield those of the model's articles whose ids the baseline has, too."""
    return (model.articles.article(int(row)) for row in baseline.known(model) if row >= 0)


def _checks(
    model: Model, report: EvaluationReport, gate: Gate, reading: ReadingReport | None
) -> Iterator[Check]:
    ours = report.systems[0]
    yield _least("articles", "articles", len(model.articles), gate.min_articles)
    if ours.health:
        found = ours.health
        yield _least("coverage", "coverage", found.coverage, gate.min_coverage)
        yield _most("hub_skew", "hub skew", found.hub_skew, gate.max_hub_skew)
        category = found.section_agreement
        yield _least("section_agreement", "section agreement", category, gate.min_category_agreement)
    if report.drawn:
        asked = [one for one in report.drawn.headlines_found if one is not None]
        yield _least(
            "headlines_found", "headlines found", _mean(asked, _LEAST_HEADLINES), gate.min_headlines_found
        )
        yield _least("topic_fit", "topic fit", _topic_fit(model, report), gate.min_topic_fit)
    if ours.quality:
        yield _least("ndcg", "nDCG at 9", ours.quality.ndcg_at_9.mean, gate.min_ndcg)
    if reading:
        fields = reading.fields_refused.total() / max(reading.rows_read, 1)
        yield _most("refused_rows", "refused rows", reading.refused_share, gate.max_refused_rows)
        yield _most("refused_fields", "refused fields a row", fields, gate.max_refused_fields)


def _least(name: str, label: str, value: float | None, bound: float) -> Check:
    return Check(name=name, label=label, value=value, bound=bound, side="at least")


def _most(name: str, label: str, value: float | None, bound: float) -> Check:
    return Check(name=name, label=label, value=value, bound=bound, side="at most")


def _mean(values: Sequence[float], least: int) -> float | None:
    return float(np.mean(values)) if len(values) >= least else None


def _topic_fit(model: Model, report: EvaluationReport) -> float | None:
    if report.drawn is None:
        return None
    rows, lists = _rows(model, report.drawn.ids), report.drawn.lists
    width = max(map(len, lists), default=0)
    places = [[*_rows(model, line), *[NO_ROW] * (width - len(line))] for line in lists]
    fit = topic_fit(model, np.array(rows), np.array(places).reshape(len(rows), width))
    return _mean(fit[~np.isnan(fit)].tolist(), _LEAST_ARTICLES)


def _rows(model: Model, ids: Sequence[str]) -> list[int]:
    return [row for one in ids if (row := model.articles.ids.find(one)) is not None]


def _in_place(model: Model, report: EvaluationReport) -> Guard:
    ids = report.drawn.ids[:_PLACED] if report.drawn else []
    astray = misplaced(model, _rows(model, ids))
    detail = "every article drawn lies where the service puts its text, in its nearest topic"
    if astray:
        first = model.articles.ids[astray[0]]
        detail = (
            f"{len(astray)} of {len(ids)} articles lie elsewhere than the service puts their text, "
            f"or in another topic, such as {first!r}"
        )
    return Guard(name="in_place", detail=detail, passed=not astray)


def _guards(model: Model, baseline: Baseline) -> Iterator[Guard]:
    corpus, before = model.manifest.corpus, baseline.facts
    now = CorpusSummary(corpus.articles, newest_published_at(model), corpus.terms_kept)
    detail = f"{before.articles:,} articles before, {now.articles:,} now"
    if shrunk := now.articles < (1 - _SHRUNK) * before.articles:
        detail = f"the corpus shrank by over {_SHRUNK:.0%}: {detail}"
    yield Guard(name="corpus", detail=detail, passed=not shrunk)
    if before.newest_published_at:
        newest = now.newest_published_at
        older = newest is None or newest < before.newest_published_at
        told = f"{newest:%Y-%m-%d %H:%M}" if newest else "undated"
        detail = f"newest article of {before.newest_published_at:%Y-%m-%d %H:%M} before, {told} now"
        yield Guard(
            name="newest", detail=f"older than before: {detail}" if older else detail, passed=not older
        )
    if before.terms:
        lost = (now.terms or 0) < _TERMS_LOST * before.terms
        detail = f"{before.terms:,} terms before, {now.terms or 0:,} now"
        yield Guard(name="terms", detail=f"terms halved: {detail}" if lost else detail, passed=not lost)


def _comparisons(
    model: Model,
    report: EvaluationReport,
    baseline: Baseline,
    shared: SharedLists,
    labels: LabelFile | None,
    margin: float,
) -> Iterator[Comparison]:
    compared = partial(_compared, seed=report.seed, margin=margin)
    yield from compared("sections", "section agreement", _categories(model, shared), _LEAST_ARTICLES)
    if shared.old_topics is not None:
        topics = _topics(shared, shared.old_topics)
        yield from compared("topics", "previous topics", topics, _LEAST_ARTICLES, margin=_PARTIAL * margin)
    yield from compared("headlines", "headlines found", baseline.headlines(report), _LEAST_ARTICLES)
    if labels and (ndcg := baseline.ndcg(model, report, labels)):
        yield from compared("ndcg", "nDCG at 9", ndcg, _LEAST_STORIES)


def _categories(model: Model, shared: SharedLists) -> Pairs:
    """Return the share of each list in the article's own section, as the new model knows the sections."""
    categories = np.asarray(model.articles.category.codes)
    return _agreements(shared, categories)


def _topics(shared: SharedLists, topics: np.ndarray) -> Pairs:
    """Return the share of each list in the topic that the article had before: one judge for both lists."""
    return _agreements(shared, topics)


def _agreements(shared: SharedLists, groups: np.ndarray) -> Pairs:
    own = groups[shared.rows]
    new, old = agreement(shared.new, own, groups), agreement(shared.old, own, groups)
    return Pairs(new, old, np.arange(len(own)))


def _compared(
    name: str, label: str, pairs: Pairs, least: int, margin: float, seed: int
) -> Iterator[Comparison]:
    """Yield the comparison of the pairs that have both values; nothing where there are none."""
    both = ~np.isnan(pairs.new) & ~np.isnan(pairs.old)
    if not both.any():
        return
    new, old = pairs.new[both], pairs.old[both]
    stories = np.unique(pairs.stories[both], return_inverse=True)[1]
    mean, low, high = (each.item() for each in intervals((new - old)[:, None], stories, seed, _RESAMPLES))
    yield Comparison(
        name=name,
        label=label,
        count=len(new),
        new=float(new.mean()),
        old=float(old.mean()),
        difference=Estimate(mean=mean, low=low, high=high),
        margin=margin,
        enough=int(stories.max()) + 1 >= least,
    )


def _most_changed(model: Model, shared: SharedLists, overlap: np.ndarray) -> list[Changed]:
    """Return the articles whose lists changed the most, equal ones in row order."""
    titles = model.articles.titles
    worst = np.lexsort((shared.rows, overlap))[:MOST_CHANGED]

    def told(line: np.ndarray) -> list[str]:
        return [titles[row] for row in line.tolist() if row != NO_ROW]

    return [
        Changed(
            id=model.articles.ids[int(shared.rows[at])],
            title=titles[int(shared.rows[at])],
            overlap=float(overlap[at]),
            before=told(shared.old[at]),
            after=told(shared.new[at]),
        )
        for at in worst.tolist()
        if overlap[at] < 1
    ]
