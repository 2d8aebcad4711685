"""The quality gate: decide whether a model may be published, and report the reasons.

The gate reads models and reports, and writes nothing; `release` publishes, or writes the report of a refusal.
It makes three kinds of decisions: a measure against a fixed bound, a guard against accidents such as a
truncated export, and a comparison with the previous model on the articles in common.

Category agreement and nDCG alone do not detect every broken model. They do not detect titles without weight
(on the sample, nDCG even rises), so the gate also tests whether headlines find their articles. They do not
detect a latent space that is noise, so sampled articles are embedded again: their stored vectors must be what
the service computes from their text. The share of title words that the articles of a list have in common
would detect both. But it would also refuse a smaller title weight, which is a reasonable choice.

Lists are also compared by the topics of the previous model. The new model's topics cannot serve for this,
because two clusterings of one corpus differ more than its lists do.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Literal

import numpy as np

from recommender.article import Article
from recommender.frozen_model import FrozenModel
from recommender.model import Model
from recommender.neighbors import NO_ROW
from recommender.provenance import GateSummary
from recommender.recipe import Gate
from recommender.training.evaluation.evaluate import Estimate, EvaluationReport, newest_published_at
from recommender.training.evaluation.health import agreement
from recommender.training.evaluation.labels import LabelFile
from recommender.training.evaluation.measures import intervals
from recommender.training.evaluation.probes import misplaced, topic_fit
from recommender.training.readers.report import ReadingReport
from recommender.training.release.previous import Baseline, CorpusSummary, Pairs, SharedLists

MOST_CHANGED = 10  # articles listed in a report
# Below these counts, intervals are so wide that the lower end would refuse a good model. The upper end
# decides instead, so that a clear loss is still detected.
_MIN_ARTICLES, _MIN_STORIES = 150, 30
_MIN_HEADLINES = 20  # tested headlines below which the share is not checked
_TOPICS_MARGIN = 2  # times the margin, because the topics of the old model favour its own lists
_EMBEDDED = 20  # articles that are embedded again
_RESAMPLES = 2_000
_MAX_SHRINKAGE, _MAX_TERMS_LOST = 0.1, 0.5  # shares of the previous model's


class Check(FrozenModel):
    """A measured value and its bound. A value of None (nothing to measure) passes."""

    name: str
    label: str
    value: float | None
    bound: float
    side: Literal["at least", "at most"]

    @property
    def passed(self) -> bool:
        """Whether the value is within the bound."""
        if self.value is None:
            return True
        return self.value >= self.bound if self.side == "at least" else self.value <= self.bound

    @property
    def reason(self) -> str:
        """The reason for refusal if this check fails."""
        return f"{self.label} {self.formatted_value}, not {self.side} {self.bound:g}"

    @property
    def formatted_value(self) -> str:
        """The value for people; empty if there is none."""
        if self.value is None:
            return ""
        return f"{self.value:,.0f}" if self.name == "articles" else f"{self.value:.4g}"


class Comparison(FrozenModel):
    """One measure on the articles or queries that both models contain, new and old."""

    name: str
    label: str
    count: int  # of articles or queries
    new: float
    old: float
    difference: Estimate  # of new - old
    margin: float
    enough: bool  # enough values for the lower end of the interval to decide; otherwise the upper end does

    @property
    def decisive(self) -> float:
        """The end of the interval that must not be below the negative margin."""
        return self.difference.low if self.enough else self.difference.high

    @property
    def passed(self) -> bool:
        """Whether the new model is at most the margin worse."""
        return self.decisive >= -self.margin

    @property
    def reason(self) -> str:
        """The reason for refusal if this comparison fails."""
        change = f"{self.label} {self.old:.3f} before, {self.new:.3f} now"
        end = "lower" if self.enough else "upper"
        return f"{change} ({end} bound {self.decisive:+.3f}, margin {self.margin:g})"


class Guard(FrozenModel):
    """A check that catches accidents, such as a truncated export."""

    name: str
    detail: str
    passed: bool


class ChangedList(FrozenModel):
    """An article whose list changed much."""

    id: str
    title: str
    overlap: float  # share of the list of nine that stayed
    before: list[str]  # the titles, best first
    after: list[str]


class Verdict(FrozenModel):
    """The result of the quality gate for one model."""

    checks: list[Check]
    guards: list[Guard]
    comparisons: list[Comparison]
    compared_with: str | None
    not_compared: str | None  # the reason, if there was a baseline but it was not used
    articles_in_common: int | None
    list_overlap: float | None  # mean share of a list of nine that stayed; never a reason for refusal
    most_changed: list[ChangedList]

    @property
    def reasons(self) -> list[str]:
        """The reasons for refusal; empty if the model may be published."""
        measurements: Sequence[Check | Comparison] = (*self.checks, *self.comparisons)
        details = [guard.detail for guard in self.guards if not guard.passed]
        return details + [measurement.reason for measurement in measurements if not measurement.passed]

    @property
    def summary(self) -> GateSummary:
        """The part of the verdict that the manifest of a published model contains."""
        return GateSummary(
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
    """Check a model against its recipe's `gate` table, and compare it with the baseline if there is one.

    `report` is the model's own evaluation, measured with `labels` if they are given. A baseline that has no
    article in common with the model is ignored, because it belongs to another site.
    """
    gate = model.manifest.recipe.gate
    checks, guards = list(_checks(model, report, gate, reading)), [_embedding_guard(model, report)]
    shared, in_common, not_compared, comparisons = None, None, None, []
    if baseline is not None and not any(map(baseline.contains, _common_articles(model, baseline))):
        not_compared = f"no articles in common with {baseline.name}: not compared"
        baseline = None
    if baseline is not None:
        in_common = int((baseline.rows_in(model) >= 0).sum())
        guards += _corpus_guards(model, baseline)
        shared = baseline.shared_lists(model)
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
        most_changed=[] if shared is None or overlap is None else most_changed(model, shared, overlap),
    )


def overlaps(shared: SharedLists) -> np.ndarray:
    """Return the share of common items of each new and old list, (m,) float64; 1 if both are empty."""
    same = (shared.new[:, :, None] == shared.old[:, None, :]) & (shared.new != NO_ROW)[:, :, None]
    longer = np.maximum((shared.new != NO_ROW).sum(axis=1), (shared.old != NO_ROW).sum(axis=1))
    return np.where(longer > 0, same.any(axis=2).sum(axis=1) / np.maximum(longer, 1), 1.0)


def most_changed(
    model: Model, shared: SharedLists, overlap: np.ndarray, count: int = MOST_CHANGED
) -> list[ChangedList]:
    """Return the articles whose lists changed the most, at most `count`, ties in row order."""
    titles = model.articles.titles
    lowest = np.lexsort((shared.rows, overlap))[:count]

    def titles_of(rows: np.ndarray) -> list[str]:
        return [titles[row] for row in rows.tolist() if row != NO_ROW]

    return [
        ChangedList(
            id=model.articles.ids[int(shared.rows[position])],
            title=titles[int(shared.rows[position])],
            overlap=float(overlap[position]),
            before=titles_of(shared.old[position]),
            after=titles_of(shared.new[position]),
        )
        for position in lowest.tolist()
        if overlap[position] < 1
    ]


def _common_articles(model: Model, baseline: Baseline) -> Iterator[Article]:
    """Yield the model's articles whose ids are also in the baseline."""
    return (model.articles.article(int(row)) for row in baseline.rows_in(model) if row >= 0)


def _checks(
    model: Model, report: EvaluationReport, gate: Gate, reading: ReadingReport | None
) -> Iterator[Check]:
    ours = report.systems[0]
    yield _at_least("articles", "articles", len(model.articles), gate.min_articles)
    if health := ours.health:
        category_agreement = health.category_agreement
        yield _at_least("coverage", "coverage", health.coverage, gate.min_coverage)
        yield _at_most("hub_skew", "hub skew", health.hub_skew, gate.max_hub_skew)
        yield _at_least(
            "category_agreement", "category agreement", category_agreement, gate.min_category_agreement
        )
    if report.drawn:
        tested = [hit for hit in report.drawn.headlines_found if hit is not None]
        share = _mean(tested, _MIN_HEADLINES)
        yield _at_least("headlines_found", "headlines found", share, gate.min_headlines_found)
        yield _at_least("topic_fit", "topic fit", _topic_fit(model, report), gate.min_topic_fit)
    if ours.quality:
        yield _at_least("ndcg", "nDCG at 9", ours.quality.ndcg_at_9.mean, gate.min_ndcg)
    if reading:
        fields = reading.fields_refused.total() / max(reading.rows_read, 1)
        yield _at_most("refused_rows", "refused rows", reading.refused_share, gate.max_refused_rows)
        yield _at_most("refused_fields", "refused fields per row", fields, gate.max_refused_fields)


def _at_least(name: str, label: str, value: float | None, bound: float) -> Check:
    return Check(name=name, label=label, value=value, bound=bound, side="at least")


def _at_most(name: str, label: str, value: float | None, bound: float) -> Check:
    return Check(name=name, label=label, value=value, bound=bound, side="at most")


def _mean(values: Sequence[float], min_count: int) -> float | None:
    return float(np.mean(values)) if len(values) >= min_count else None


def _topic_fit(model: Model, report: EvaluationReport) -> float | None:
    if report.drawn is None:
        return None
    lists = report.drawn.lists
    row_of = _rows_of(model, {*report.drawn.ids, *chain.from_iterable(lists)})
    rows, width = [row_of[article_id] for article_id in report.drawn.ids], max(map(len, lists), default=0)
    padded = [[*(row_of[item] for item in items), *[NO_ROW] * (width - len(items))] for items in lists]
    fit = topic_fit(model, np.array(rows), np.array(padded).reshape(len(rows), width))
    return _mean(fit[~np.isnan(fit)].tolist(), _MIN_ARTICLES)


def _rows_of(model: Model, ids: set[str]) -> dict[str, int]:
    return {article_id: row for row, article_id in enumerate(model.articles.ids) if article_id in ids}


def _embedding_guard(model: Model, report: EvaluationReport) -> Guard:
    ids = report.drawn.ids[:_EMBEDDED] if report.drawn else []
    row_of = _rows_of(model, set(ids))
    wrong = misplaced(model, [row_of[article_id] for article_id in ids])
    detail = "the vectors and first topics of the sampled articles match what the service computes"
    if wrong:
        first = model.articles.ids[wrong[0]]
        detail = (
            f"the vectors or first topics of {len(wrong)} of {len(ids)} articles differ from what the "
            f"service computes, such as {first!r}"
        )
    return Guard(name="in_place", detail=detail, passed=not wrong)


def _corpus_guards(model: Model, baseline: Baseline) -> Iterator[Guard]:
    corpus, before = model.manifest.corpus, baseline.corpus
    now = CorpusSummary(corpus.articles, newest_published_at(model), corpus.terms_kept)
    detail = f"{before.articles:,} articles before, {now.articles:,} now"
    if shrunk := now.articles < (1 - _MAX_SHRINKAGE) * before.articles:
        detail = f"the corpus shrank by more than {_MAX_SHRINKAGE:.0%}: {detail}"
    yield Guard(name="corpus", detail=detail, passed=not shrunk)
    if before.newest_published_at:
        newest = now.newest_published_at
        older = newest is None or newest < before.newest_published_at
        newest_date = f"{newest:%Y-%m-%d %H:%M}" if newest else "undated"
        detail = f"newest article {before.newest_published_at:%Y-%m-%d %H:%M} before, {newest_date} now"
        yield Guard(
            name="newest", detail=f"older than before: {detail}" if older else detail, passed=not older
        )
    if before.terms:
        lost = (now.terms or 0) < _MAX_TERMS_LOST * before.terms
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
    compare = partial(_compare, seed=report.seed, margin=margin)
    categories = np.asarray(model.articles.category.codes)  # the new model's, for both lists
    yield from compare("categories", "category agreement", _agreements(shared, categories), _MIN_ARTICLES)
    if shared.old_topics is not None:
        topics = _agreements(shared, shared.old_topics)
        topics_margin = _TOPICS_MARGIN * margin
        yield from compare("topics", "previous topics", topics, _MIN_ARTICLES, margin=topics_margin)
    yield from compare("headlines", "headlines found", baseline.headlines(report), _MIN_ARTICLES)
    if labels and (ndcg := baseline.ndcg(model, report, labels)):
        yield from compare("ndcg", "nDCG at 9", ndcg, _MIN_STORIES)


def _agreements(shared: SharedLists, groups: np.ndarray) -> Pairs:
    """Return the share of each list in the article's own group; `groups` is (n,) int, negative for none."""
    own = groups[shared.rows]
    new, old = agreement(shared.new, own, groups), agreement(shared.old, own, groups)
    return Pairs(new, old, np.arange(len(own)))


def _compare(
    name: str, label: str, pairs: Pairs, min_count: int, margin: float, seed: int
) -> Iterator[Comparison]:
    """Yield the comparison of the pairs that have both values; nothing if there are none."""
    both = ~np.isnan(pairs.new) & ~np.isnan(pairs.old)
    if not both.any():
        return
    new, old = pairs.new[both], pairs.old[both]
    stories = np.unique(pairs.stories[both], return_inverse=True)[1]
    differences = (new - old)[:, None]
    mean, low, high = (end.item() for end in intervals(differences, stories, seed, _RESAMPLES))
    yield Comparison(
        name=name,
        label=label,
        count=len(new),
        new=float(new.mean()),
        old=float(old.mean()),
        difference=Estimate(mean=mean, low=low, high=high),
        margin=margin,
        enough=int(stories.max()) + 1 >= min_count,
    )
