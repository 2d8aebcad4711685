"""What the overview shows: the state of the service, the lists, live articles, trending and the versions."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from recommender.history import VersionFacts
from recommender.model import from_microseconds
from recommender.serving.admin.charts import Line, spark_line, time_line
from recommender.serving.admin.model_facts import CopyFacts, FactsCache, lists_with
from recommender.serving.admin.words import percent
from recommender.serving.site.teasers import label
from recommender.serving.trending.rankings import Leaderboards
from recommender.serving.worker.consistent_view import ConsistentView
from recommender.serving.worker.follower import WorkerState
from recommender.trending import DEFAULT_WINDOW

_MOST_LISTED, _ORPHANS, _LIVE, _TRENDING, _CLUSTERS, _MEMBERS = 15, 15, 10, 8, 8, 10
_HOURS = 24  # of trending curves
_SPARK_WIDTH, _SPARK_HEIGHT = 144, 28
_QUALITY_WIDTH, _QUALITY_HEIGHT = 300, 90
# Measures of versions, which are shares, and what they mean.
_MEASURES: tuple[tuple[str, str, Callable[[VersionFacts], float | None]], ...] = (
    ("nDCG@9", "labelled stories found, and how high in the list", lambda facts: facts.ndcg_at_9),
    ("Coverage", "articles that are in at least one list", lambda facts: facts.coverage),
    ("Section agreement", "items in the section of the article", lambda facts: facts.category_agreement),
    ("Kept items", "items that stayed from the version before", lambda facts: facts.list_overlap),
)


@dataclass(frozen=True, slots=True)
class ArticleLine:
    """An article in a table."""

    row: int
    id: str
    title: str
    category: str
    published_at: datetime | None
    lists: int = 0  # of nine, as trained, that contain it
    kinds: tuple[str, ...] = ()  # of the active rules that name it
    note: str = ""


@dataclass(frozen=True, slots=True)
class TrendingLine:
    """An article that trends, and the events of each hour of the last day."""

    article: ArticleLine
    score: float  # expected weighted events per hour
    change: int | None
    is_new: bool
    curve: Line
    events: int
    peak: int  # events in an hour, at most


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure of the versions over time."""

    name: str
    meaning: str
    latest: str
    line: Line
    first: datetime
    last: datetime
    lowest: str
    highest: str


@dataclass(frozen=True, slots=True)
class TopicLine:
    """A topic and the number of its public articles."""

    number: int
    slug: str
    name: str
    articles: int


class Lines:
    """Makes lines of tables. Articles that are not published, withdrawn or replaced never appear."""

    def __init__(self, view: ConsistentView, cache: FactsCache) -> None:
        self._related, self._now = view.related, view.now
        self._facts, self._kinds_of = cache.lists(view.related.model), cache.kinds(view.related.rules.active)

    def most_listed(self) -> list[ArticleLine]:
        """Return the articles in the most lists, most lists first."""
        return self._of(self._first(self._facts.most_listed, _MOST_LISTED))

    def orphans(self) -> tuple[list[ArticleLine], int]:
        """Return the newest articles in no list, and how many there are."""
        rows = self._facts.orphans
        count = int(np.count_nonzero(self._related.public(self._now)[rows]))
        return self._of(self._first(rows, _ORPHANS)), count

    def articles(self, rows: Iterable[int], limit: int) -> list[ArticleLine]:
        """Return the first articles among the rows."""
        return self._of(self._first(rows, limit))

    def lists_with(self, row: int) -> list[int]:
        """Return the rows of the articles whose lists contain the article of a row; none for a live one."""
        return lists_with(self._related.model, row) if row < len(self._facts.listed) else []

    def live(self) -> list[ArticleLine]:
        """Return the live articles that were published last, with their unknown terms."""
        related, n = self._related, len(self._related.model.articles)
        newest = related.articles.newest
        rows = self._first(newest[newest >= n].tolist(), _LIVE)
        shares = [related.snapshot.folded[row - n].unknown_share for row in rows]
        return self._of(rows, [f"{percent(share)} unknown words" for share in shares])

    def trending(self, leaderboards: Leaderboards) -> list[TrendingLine]:
        """Return the articles that trend, the first rank first."""
        leaderboard = leaderboards.leaderboard(DEFAULT_WINDOW)
        rows = self._first(leaderboard.rows.tolist(), _TRENDING)
        curves = leaderboards.curves(rows, _HOURS)
        codes = self._related.articles.category.codes
        ranks = [leaderboard.article_rank(row, int(codes[row])) for row in rows]
        return [
            TrendingLine(
                article=line,
                score=rank.score,
                change=rank.change,
                is_new=rank.new,
                curve=spark_line(curve.tolist(), _SPARK_WIDTH, _SPARK_HEIGHT),
                events=round(float(curve.sum())),
                peak=round(float(curve.max())),
            )
            for line, rank, curve in zip(self._of(rows), ranks, curves, strict=True)
        ]

    def clusters(self, facts: CopyFacts) -> list[tuple[list[ArticleLine], int]]:
        """Return the largest clusters of near-duplicates: their first public articles, and how many."""
        clusters = []
        for rows in facts.largest:
            public = self._first(rows, len(rows))
            if len(public) > 1:
                clusters.append((self._of(public[:_MEMBERS]), len(public)))
        return clusters[:_CLUSTERS]

    def topics(self) -> list[TopicLine]:
        """Return the topics with public articles, those with the most first."""
        related = self._related
        first = related.snapshot.first_topics[related.public(self._now)]
        topics = related.model.manifest.topics
        counts = np.bincount(first[first >= 0], minlength=len(topics)).tolist()
        lines = [
            TopicLine(number, topic.slug, topic.name, counts[number])
            for number, topic in enumerate(topics)
            if counts[number]
        ]
        return sorted(lines, key=lambda line: (-line.articles, line.slug))

    def _first(self, rows: Iterable[int], limit: int) -> list[int]:
        """Return the first rows of articles that are published, neither withdrawn nor replaced."""
        result: list[int] = []
        for row in map(int, rows):
            if len(result) == limit:
                break
            if self._related.timeline.is_public(row, self._now):
                result.append(row)
        return result

    def _of(self, rows: Sequence[int], notes: Sequence[str] = ()) -> list[ArticleLine]:
        articles, listed = self._related.articles, self._facts.listed
        ids = [articles.ids[row] for row in rows]
        return [
            ArticleLine(
                row=row,
                id=article_id,
                title=articles.titles[row].strip() or "(no title)",
                category=label(articles.category[row] or ""),
                published_at=from_microseconds(int(articles.published[row])),
                lists=int(listed[row]) if row < len(listed) else 0,
                kinds=self._kinds_of.get(article_id, ()),
                note=notes[number] if notes else "",
            )
            for number, (row, article_id) in enumerate(zip(rows, ids, strict=True))
        ]


def measures(versions: Sequence[VersionFacts]) -> Iterator[Measure]:
    """Yield the measures of the versions over time; those that were never measured are left out."""
    for name, meaning, value_of in _MEASURES:
        pairs = [
            (moment, value, facts.version)
            for facts in versions
            if (value := value_of(facts)) is not None
            and (moment := facts.trained_at or facts.published_at) is not None
        ]
        if pairs:
            moments, values, names = zip(*pairs, strict=True)
            texts = [f"{version}: {value:.3f}" for version, value in zip(names, values, strict=True)]
            yield Measure(
                name=name,
                meaning=meaning,
                latest=f"{values[-1]:.3f}",
                line=time_line(moments, values, texts, _QUALITY_WIDTH, _QUALITY_HEIGHT),
                first=min(moments),
                last=max(moments),
                lowest=f"{min(values):.3f}",
                highest=f"{max(values):.3f}",
            )


def alarms(view: ConsistentView, state: WorkerState) -> Iterator[str]:
    """Yield what needs attention, in words."""
    if view.model_status.stale:
        yield "The model is too old. Train again, or find out why the nightly training fails."
    if view.model_status.degraded:
        yield f"Degraded: {', '.join(view.model_status.degraded)}. The guide's page on errors has the cures."
    if state.unreadable_rules:
        yield f"Rules that this version cannot read have no effect: {', '.join(state.unreadable_rules)}."
    if state.pending:
        yield f"{len(state.pending):,} new articles wait to be compared with the archive."
