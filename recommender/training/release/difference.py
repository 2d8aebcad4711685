"""What changed between two models of one site: lists, orphans, crowders and categories.

Lists are compared as the quality gate compares them: those of the articles that both models contain, without
items that only one of them contains. So new articles do not count as a change. Orphans and crowders are
counted in the lists as displayed, because there new articles do matter.
"""

from collections.abc import Iterator

import numpy as np

from recommender.displayed import LIST_LENGTH, crowders, displayed_lists, occurrences
from recommender.frozen_model import FrozenModel
from recommender.model import Model
from recommender.neighbors import NO_ROW
from recommender.training.release.gate import MOST_CHANGED, ChangedList, most_changed, overlaps
from recommender.training.release.previous import Baseline, lists_in_common

_ROUNDING = 1e-9  # 7 / 9 * 9 is slightly less than 7


class Overlap(FrozenModel):
    """How much of the lists of the articles in common stayed. None: there are no articles in common."""

    mean: float | None
    median: float | None
    kept: list[int]  # articles by how many of nine items stayed, 0 to 9; shorter lists count in proportion


class ListedArticle(FrozenModel):
    """An article, and the number of lists that contain it in each model."""

    id: str
    title: str
    lists_before: int | None  # None: the old model does not contain the article
    lists_after: int


class CategoryChange(FrozenModel):
    """How much the lists of a category's articles stayed. The category is that of the new model."""

    category: str  # empty: none
    articles: int  # in common
    overlap: float  # mean


class MovedArticles(FrozenModel):
    """Articles in common whose category changed."""

    before: str
    after: str
    articles: int
    example: str  # a title


class ArticleChange(FrozenModel):
    """An article in common: how much of its list stayed, its categories, and the lists that contain it."""

    id: str
    title: str
    overlap: float
    category_before: str
    category_after: str
    lists_before: int
    lists_after: int


class Difference(FrozenModel):
    """What changed from an old to a new model."""

    old: str
    new: str
    articles_in_common: int
    articles_added: int
    articles_removed: int
    overlap: Overlap
    most_changed: list[ChangedList]
    orphans_before: int  # articles in no list, without hidden near-duplicates
    orphans_after: int
    new_orphans: list[ListedArticle]  # those that were in most lists first, then those of the new model only
    crowders_before: int  # articles in more lists than CROWDING times the mean
    crowders_after: int
    new_crowders: list[ListedArticle]  # those in most lists first
    categories: list[CategoryChange]  # the most changed first
    moved: list[MovedArticles]  # most articles first


class ModelPair:
    """Two models of one site, compared article by article."""

    def __init__(self, old: Model, new: Model) -> None:
        self._old, self._new = old, new
        new_of = Baseline(old.manifest.version, old).rows_in(new)
        old_rows = np.flatnonzero(new_of >= 0)
        self._shared = lists_in_common(old, new, new_of, old_rows)
        self._overlap = overlaps(self._shared)
        self._old_of = np.full(len(new.articles), NO_ROW, dtype=np.int64)  # the old row of each new row
        self._old_of[new_of[old_rows]] = old_rows
        before, after = displayed_lists(old), displayed_lists(new)
        self._before, self._after = occurrences(before.lists), occurrences(after.lists)
        self._old_orphans = before.listable & (self._before == 0)
        self._new_orphans = after.listable & (self._after == 0)

    def difference(self, count: int = MOST_CHANGED) -> Difference:
        """Return what changed, with at most `count` articles of each kind."""
        overlap, in_common = self._overlap, len(self._overlap)
        kept = np.floor(overlap * LIST_LENGTH + _ROUNDING).astype(np.int64)
        old_crowders, new_crowders = crowders(self._before), crowders(self._after)
        orphans = self._since(self._old_orphans, self._new_orphans)
        new_in_lists = self._since(old_crowders, new_crowders)
        return Difference(
            old=self._old.manifest.version,
            new=self._new.manifest.version,
            articles_in_common=in_common,
            articles_added=len(self._new.articles) - in_common,
            articles_removed=len(self._old.articles) - in_common,
            overlap=Overlap(
                mean=float(overlap.mean()) if in_common else None,
                median=float(np.median(overlap)) if in_common else None,
                kept=np.bincount(kept, minlength=LIST_LENGTH + 1).tolist(),
            ),
            most_changed=most_changed(self._new, self._shared, overlap, count),
            orphans_before=int(self._old_orphans.sum()),
            orphans_after=int(self._new_orphans.sum()),
            new_orphans=self._listed(orphans, self._before_of(orphans), count),
            crowders_before=int(old_crowders.sum()),
            crowders_after=int(new_crowders.sum()),
            new_crowders=self._listed(new_in_lists, self._after[new_in_lists], count),
            categories=list(self._categories()),
            moved=list(self._moved()),
        )

    def articles(self) -> Iterator[ArticleChange]:
        """Yield what changed for each article in common, in the order of the new model's rows."""
        old, new = self._old.articles, self._new.articles
        for position in np.argsort(self._shared.rows).tolist():
            row = int(self._shared.rows[position])
            old_row = int(self._old_of[row])
            yield ArticleChange(
                id=new.ids[row],
                title=new.titles[row],
                overlap=float(self._overlap[position]),
                category_before=old.category[old_row] or "",
                category_after=new.category[row] or "",
                lists_before=int(self._before[old_row]),
                lists_after=int(self._after[row]),
            )

    def _since(self, old: np.ndarray, new: np.ndarray) -> np.ndarray:
        """Return the new rows in the mask `new` whose old rows, if any, are not in the mask `old`."""
        was = (self._old_of != NO_ROW) & old[self._old_of]
        return np.flatnonzero(new & ~was)

    def _before_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the number of lists that contained each article of the new model, -1 if it is new."""
        old_rows = self._old_of[rows]
        return np.where(old_rows == NO_ROW, -1, self._before[old_rows])

    def _listed(self, rows: np.ndarray, order: np.ndarray, count: int) -> list[ListedArticle]:
        """Return the articles with the highest `order` first, ties in row order."""
        best = rows[np.argsort(-order, kind="stable")[:count]]
        articles = self._new.articles
        return [
            ListedArticle(
                id=articles.ids[row],
                title=articles.titles[row],
                lists_before=None if before < 0 else before,
                lists_after=int(self._after[row]),
            )
            for row, before in zip(best.tolist(), self._before_of(best).tolist(), strict=True)
        ]

    def _categories(self) -> Iterator[CategoryChange]:
        """Yield the categories of the articles in common, the most changed first."""
        overlaps_of: dict[str, list[float]] = {}
        for row, overlap in zip(self._shared.rows.tolist(), self._overlap.tolist(), strict=True):
            overlaps_of.setdefault(self._new.articles.category[row] or "", []).append(overlap)
        means = {category: sum(values) / len(values) for category, values in overlaps_of.items()}
        for category in sorted(means, key=lambda category: (means[category], category)):
            articles = len(overlaps_of[category])
            yield CategoryChange(category=category, articles=articles, overlap=means[category])

    def _moved(self) -> Iterator[MovedArticles]:
        """Yield the changes of categories, those of most articles first."""
        rows_of: dict[tuple[str, str], list[int]] = {}
        for row in self._shared.rows.tolist():
            before = self._old.articles.category[int(self._old_of[row])] or ""
            after = self._new.articles.category[row] or ""
            if before != after:
                rows_of.setdefault((before, after), []).append(row)
        for (before, after), rows in sorted(rows_of.items(), key=lambda item: (-len(item[1]), item[0])):
            example = self._new.articles.titles[min(rows)]
            yield MovedArticles(before=before, after=after, articles=len(rows), example=example)
