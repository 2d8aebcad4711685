"""Who may stand in a list: the articles that are public and pass its filters, one of all copies."""

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

NO_LIST_RULES = ListRules()
_CACHED_MASKS = 16


@dataclass(frozen=True, slots=True)
class EligibleRows:
    """Who may stand in one list."""

    mask: np.ndarray  # (n,) bool, one of all copies; no pin, nor a copy of one
    pins: tuple[int, ...]  # rows that stand first, in order
    blocked: frozenset[int]  # rows that rules keep out


class EligibilityFilter:
    """Masks over the rows of an edition, (n,) bool."""

    def __init__(self, snapshot: Snapshot, timeline: Timeline, categories: Categories) -> None:
        self._snapshot, self._timeline, self._categories = snapshot, timeline, categories
        newest = timeline.rows
        self._copied = newest[
            np.isin(newest, snapshot.copies.grouped)
        ]  # those that have copies, newest first
        self._groups = snapshot.copies.first[self._copied]
        self._public = lru_cache(maxsize=_CACHED_MASKS)(self._find_public)

    def public(self, now: datetime, lang: str | None = None) -> np.ndarray:
        """Return the mask of the articles that are published, of one language if one is named.

        Do not change it.
        """
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
        """Return the public articles that pass the query, one of all copies.

        `own` is the row of the article whose list it is: it and its copies do not pass. `own_date`, in
        microseconds, is what `mode` compares with; without it only the mode "related" admits any. Pins are
        held to the query, too, but not to the language of the article itself, for an editor chose them; of
        copies the first is the pin. Raises UnknownCategoryError for a filter that names no category.
        """
        asked_lang = None if query.lang == ANY else query.lang
        gone = [*self.rows(query.exclude), *([] if own is None else [own])]
        gone = [*list_rules.blocked, *self._snapshot.copies.with_all(gone)]
        pins: list[int] = []
        if list_rules.pinned:
            may = self._filtered(query, now, asked_lang, own_date, gone)
            for row in list_rules.pinned:
                if may[row]:
                    pins.append(row)
                    may[self._snapshot.copies.with_all([row])] = False
        mask = self._filtered(query, now, own_lang if query.lang is None else asked_lang, own_date, gone)
        mask[self._snapshot.copies.with_all(pins)] = False
        self.keep_one_copy(mask)
        return EligibleRows(mask, tuple(pins), frozenset(list_rules.blocked))

    def _filtered(
        self, query: ListQuery, now: datetime, lang: str | None, own_date: int, gone: Sequence[int]
    ) -> np.ndarray:
        """Return a new mask of the public articles in a language that pass the query, but for those gone."""
        mask = self.public(now, lang).copy()
        if query.categories:
            mask &= self._categories.rows(query.categories)
        if query.exclude_categories:
            mask &= ~self._categories.rows(query.exclude_categories)
        self._cut_dates(mask, query, now)
        if query.mode != "related":
            mask &= self._on_side(query.mode == "follow_up", own_date)
        mask[list(gone)] = False
        return mask

    def distinct(self, mask: np.ndarray) -> int:
        """Return how many articles a mask of shown ones admits, counting copies of one another as one."""
        admitted = mask[self._copied]
        hidden = int(np.count_nonzero(admitted)) - len(np.unique(self._groups[admitted]))
        return int(np.count_nonzero(mask)) - hidden

    def rows(self, article_ids: Iterable[str]) -> list[int]:
        """Return the rows of those of the ids that are known."""
        found = (self._snapshot.articles.find(article_id) for article_id in article_ids)
        return [row for row in found if row is not None]

    def _find_public(self, future: int, lang: str | None) -> np.ndarray:
        """Return a mask of all that may be met but the `future` newest; of one language, if one is named."""
        articles = self._snapshot.articles
        mask = np.zeros(len(articles), dtype=bool)
        mask[self._timeline.rows[future:]] = True
        if lang is not None:
            code = articles.langs.names.find(lang)
            mask &= articles.langs.codes == code if code is not None else False
        return mask

    def _cut_dates(self, mask: np.ndarray, query: ListQuery, now: datetime) -> None:
        """Take out what breaks a date filter, and with any date filter what has no date."""
        published = self._snapshot.articles.published
        if query.max_age_days is not None:
            oldest = self._timeline.as_of(now) - timedelta(days=query.max_age_days)
            mask &= published >= microseconds(oldest)
        if query.published_after is not None:
            mask &= published > microseconds(query.published_after)
        if query.published_before is not None:
            mask &= (published < microseconds(query.published_before)) & (published != NO_MOMENT)

    def _on_side(self, later: bool, date: int) -> np.ndarray:  # noqa: FBT001 one of two sides
        """Return the mask of the dated articles later, or earlier, than a date; of none without a date."""
        published = self._snapshot.articles.published
        if date == NO_MOMENT:
            return np.zeros(len(published), dtype=bool)
        return published > date if later else (published < date) & (published != NO_MOMENT)

    def keep_one_copy(self, mask: np.ndarray) -> None:
        """Leave of each group of copies only the newest that the mask admits."""
        admitted = mask[self._copied]
        candidates = self._copied[admitted]
        _, newest = np.unique(self._groups[admitted], return_index=True)
        mask[candidates] = False
        mask[candidates[newest]] = True
