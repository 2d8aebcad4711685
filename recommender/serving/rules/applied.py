"""The editorial rules in rows of an edition: whom they hide, pin, boost and limit there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recommender.serving.index.categories import Categories, UnknownCategoryError, key
from recommender.serving.index.snapshot import Snapshot
from recommender.serving.rules.active import ActiveRules
from recommender.serving.rules.caps import Caps
from recommender.serving.rules.schema import GREATEST_FACTOR, LEAST_FACTOR, Boost


@dataclass(frozen=True, slots=True)
class ListRules:
    """What the rules say of one list, in rows."""

    pinned: Sequence[int] = ()  # in the order of the list
    blocked: Sequence[int] = ()


class AppliedRules:
    """What the active rules come to in one edition. Articles that it does not hold are no matter."""

    def __init__(self, snapshot: Snapshot, categories: Categories, active: ActiveRules) -> None:
        self.active = active
        self._articles = snapshot.articles
        self._categories = categories
        self._row_of: dict[str, int | None] = {}  # of the ids that rules name

    @cached_property
    def hidden(self) -> np.ndarray:
        """A mask over the rows, (n,) bool: what stands in no answer but its own; do not change it."""
        mask = np.zeros(len(self._articles), dtype=bool)
        mask[self._rows(self.active.hidden)] = True
        return mask

    @cached_property
    def newest(self) -> np.ndarray:
        """The rows that may be met, newest first."""
        newest = self._articles.newest
        return newest[~self.hidden[newest]] if self.active.hidden else newest

    def list_rules(self, article_id: str | None, categories: Sequence[str] = ()) -> ListRules:
        """Return what is said of the list of an article in these sections."""
        if not self.active.rules:
            return ListRules()
        pinned = self._rows(self.active.pins(article_id, categories))
        return ListRules(pinned, self._rows(self.active.blocked(article_id, categories)))

    @cached_property
    def boosts(self) -> np.ndarray | None:
        """With how much each score is multiplied, (n,) float64; None where no boost acts.

        Boosts of one article are multiplied with each other, and stay within 0.1 and 10.
        """
        if not self.active.boosts:
            return None
        factors = np.ones(len(self._articles))
        for boost in self.active.boosts:
            factors[self._boosted(boost)] *= boost.factor
        return np.clip(factors, LEAST_FACTOR, GREATEST_FACTOR)

    @cached_property
    def caps(self) -> Caps:
        """The caps that act: on the articles of one primary section, and on those of one first author."""
        codes_of = {"section": lambda: self._articles.category.codes, "author": self._first_authors}
        acting = {per: most for per in codes_of if (most := self.active.cap(per)) is not None}
        return Caps([codes_of[per]() for per in acting], list(acting.values()))

    def _rows(self, article_ids: Iterable[str]) -> list[int]:
        """Return the rows of those that are known; each is looked up once."""
        for article_id in article_ids:
            if article_id not in self._row_of:
                self._row_of[article_id] = self._articles.find(article_id)
        found = (self._row_of[article_id] for article_id in article_ids)
        return [row for row in found if row is not None]

    def _boosted(self, boost: Boost) -> list[int] | np.ndarray:
        if boost.articles is not None:
            return sorted(set(self._rows(boost.articles)))
        if boost.by_author is not None:
            return self._by_author(boost.by_author)
        try:
            return self._categories.rows([boost.in_section or ""])
        except UnknownCategoryError:  # a section that has no article yet
            return []

    def _by_author(self, author: str) -> np.ndarray:
        documents, wanted = self._articles, key(author)
        column = documents.trained.authors
        codes = [code for code, name in enumerate(column.names) if key(name) == wanted]
        live = [
            any(key(name) == wanted for name in each.authors) for each in documents.live[: documents.n_live]
        ]
        return np.concatenate([column.rows_with(codes), np.array(live, dtype=bool)])

    def _first_authors(self) -> np.ndarray:
        documents = self._articles
        column = documents.trained.authors
        signed = column.offsets[:-1] < column.offsets[1:]
        codes = np.full(len(documents), -1, dtype=np.int64)
        codes[: len(documents.trained)][signed] = column.codes[column.offsets[:-1][signed]]
        code_of = {name: code for code, name in enumerate(column.names)} if documents.n_live else {}
        for row, article in enumerate(documents.live[: documents.n_live], start=len(documents.trained)):
            for first in article.authors[:1]:
                codes[row] = code_of.setdefault(first, len(code_of))
        return codes
