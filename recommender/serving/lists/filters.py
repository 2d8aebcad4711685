"""The filters of a list: which public articles are eligible, with one of each group of near-duplicates."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

import numpy as np

from recommender.model import NO_MOMENT, microseconds
from recommender.serving.index.categories import Categories
from recommender.serving.index.snapshot import Snapshot
from recommender.serving.index.timeline import Timeline
from recommender.serving.lists.query import ANY, ListQuery
from recommender.serving.rules.applied import ListRules
from recommender.text import is_same_language

NO_LIST_RULES = ListRules()
_CACHED_MASKS = 16
_NO_ROW = -1


@dataclass(frozen=True, slots=True)
class EligibleRows:
    """The rows that one list may contain."""

    mask: np.ndarray  # (n,) bool, without near-duplicates of each other, pins and near-duplicates of pins
    pins: tuple[int, ...]  # the first rows of the list, in order
    blocked: frozenset[int]  # rows that rules keep out of the list
    pinned_ids: frozenset[str]  # ids that rules pin, also unknown ones and those that do not pass

    def __len__(self) -> int:
        """Return how many articles the list contains without a limit and without caps."""
        return len(self.pins) + int(np.count_nonzero(self.mask))


class EligibilityFilter:
    """Masks over the rows of a snapshot, (n,) bool."""

    def __init__(self, snapshot: Snapshot, timeline: Timeline, categories: Categories) -> None:
        self._snapshot, self._timeline, self._categories = snapshot, timeline, categories
        newest = timeline.rows
        self._copied = newest[np.isin(newest, snapshot.copies.grouped)]  # with near-duplicates, newest first
        groups, self._groups = np.unique(snapshot.copies.first[self._copied], return_inverse=True)
        self._n_groups = len(groups)
        self._public = lru_cache(maxsize=_CACHED_MASKS)(self._compute_public)
        self._distinct_public = lru_cache(maxsize=_CACHED_MASKS)(self._compute_distinct_public)

    def public(self, now: datetime, lang: str | None = None) -> np.ndarray:
        """Return the mask of the articles published by `now`, in one language if given. Do not change it."""
        return self._public(self._timeline.future(now), lang)

    def passing(
        self,
        query: ListQuery,
        now: datetime,
        *,
        own: int | None = None,
        own_lang: str | None = None,
        own_date: int = NO_MOMENT,
        list_rules: ListRules = NO_LIST_RULES,
    ) -> EligibleRows:
        """Return the public articles that pass the query; of near-duplicates only the newest that passes.

        `own` is the row of the list's article, which is excluded with its near-duplicates. `mode` compares
        with `own_date`, in microseconds; without that date only the mode "related" admits articles. Pins must
        pass the query too, except for the article's own language, because an editor chose them; of
        near-duplicates the first is the pin. Raises UnknownCategoryError for a filter with an unknown
        category.
        """
        query_lang = None if query.lang == ANY else query.lang
        excluded = [*self.rows(query.exclude), *([] if own is None else [own])]
        excluded = [*list_rules.blocked, *self._snapshot.copies.with_all(excluded)]
        pins: list[int] = []
        if list_rules.pinned:
            allowed = self._filtered(query, now, query_lang, own_date, excluded)
            for row in list_rules.pinned:
                if allowed[row]:
                    pins.append(row)
                    allowed[self._snapshot.copies.with_all([row])] = False
        lang = own_lang if query.lang is None else query_lang
        if _admits_all(query) and not list_rules.blocked:
            # Only whole groups of near-duplicates are excluded, so the newest of every other one is the same.
            mask = self._distinct_public(self._timeline.future(now), lang).copy()
            mask[excluded] = False
            mask[self._snapshot.copies.with_all(pins)] = False
        else:
            mask = self._filtered(query, now, lang, own_date, excluded)
            mask[self._snapshot.copies.with_all(pins)] = False
            self.keep_one_copy(mask)
        return EligibleRows(mask, tuple(pins), frozenset(list_rules.blocked), list_rules.pinned_ids)

    def _filtered(
        self, query: ListQuery, now: datetime, lang: str | None, own_date: int, excluded: Sequence[int]
    ) -> np.ndarray:
        """Return a new mask of the public articles in a language that pass the query and are not excluded."""
        mask = self.public(now, lang).copy()
        if query.categories:
            mask &= self._categories.rows(query.categories)
        if query.exclude_categories:
            mask &= ~self._categories.rows(query.exclude_categories)
        self._apply_dates(mask, query, now)
        if query.mode != "related":
            mask &= self._published(own_date, later=query.mode == "follow_up")
        mask[list(excluded)] = False
        return mask

    def distinct(self, mask: np.ndarray) -> int:
        """Return how many articles a mask admits; near-duplicates count as one article."""
        admitted = mask[self._copied]
        sizes = np.bincount(self._groups[admitted], minlength=self._n_groups)
        duplicates = int(np.count_nonzero(admitted)) - int(np.count_nonzero(sizes))
        return int(np.count_nonzero(mask)) - duplicates

    def rows(self, article_ids: Iterable[str]) -> list[int]:
        """Return the rows of the known ids."""
        rows = (self._snapshot.articles.find(article_id) for article_id in article_ids)
        return [row for row in rows if row is not None]

    def _compute_public(self, future: int, lang: str | None) -> np.ndarray:
        """Return a mask of the timeline without its `future` newest rows, in one language if given."""
        articles = self._snapshot.articles
        mask = np.zeros(len(articles), dtype=bool)
        mask[self._timeline.rows[future:]] = True
        if lang is not None:
            names = articles.langs.names
            codes = [code for code, name in enumerate(names) if is_same_language(name, lang)]
            mask &= np.isin(articles.langs.codes, codes)
        return mask

    def _compute_distinct_public(self, future: int, lang: str | None) -> np.ndarray:
        """Return the mask of `_compute_public` with the newest of each group of near-duplicates."""
        mask = self._public(future, lang).copy()
        self.keep_one_copy(mask)
        return mask

    def _apply_dates(self, mask: np.ndarray, query: ListQuery, now: datetime) -> None:
        """Clear the rows that fail a date filter; undated articles fail all of them."""
        published = self._snapshot.articles.published
        if query.max_age_days is not None:
            oldest = self._timeline.as_of(now) - timedelta(days=query.max_age_days)
            mask &= published >= microseconds(oldest)
        if query.published_after is not None:
            mask &= published > microseconds(query.published_after)
        if query.published_before is not None:
            mask &= (published < microseconds(query.published_before)) & (published != NO_MOMENT)

    def _published(self, date: int, *, later: bool) -> np.ndarray:
        """Return the mask of the dated articles later, or earlier, than a date; an empty mask without one."""
        published = self._snapshot.articles.published
        if date == NO_MOMENT:
            return np.zeros(len(published), dtype=bool)
        return published > date if later else (published < date) & (published != NO_MOMENT)

    def keep_one_copy(self, mask: np.ndarray) -> None:
        """Leave only the newest of each group of near-duplicates in the mask."""
        admitted = mask[self._copied]
        candidates, groups = self._copied[admitted], self._groups[admitted]
        newest = np.full(self._n_groups, _NO_ROW)
        newest[groups[::-1]] = candidates[::-1]  # the last assignment to a group is that of its newest
        mask[candidates] = False
        mask[newest[newest != _NO_ROW]] = True


def _admits_all(query: ListQuery) -> bool:
    """Return whether the query excludes only articles by id, with their near-duplicates, and languages."""
    dates = query.max_age_days, query.published_before, query.published_after
    is_by_category = query.categories or query.exclude_categories
    return query.mode == "related" and not is_by_category and dates == (None, None, None)
