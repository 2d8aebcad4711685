"""The active rules in rows of a snapshot: which rows they hide, pin, block, boost and cap.

Rules name articles by id, category or author and contain no rows, so a rule may exist before its article, and
a rule for a category applies to every article that joins it. The rules that are active at a moment
(`ActiveRules`) are a value with a version; this module translates them into rows once per snapshot.

Hidden articles are missing from the timeline and from every mask, but not from the documents. So no list,
page, near-duplicate or count contains them, and their own id still finds them. A boost is one more factor on
a score, after freshness. `lists.candidates` multiplies its bound by the greatest boost, so lists with boosts
are exact, too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recommender.serving.index.categories import Categories, UnknownCategoryError, key
from recommender.serving.index.snapshot import Snapshot
from recommender.serving.rules.active import ActiveRules
from recommender.serving.rules.caps import Caps
from recommender.serving.rules.schema import GREATEST_FACTOR, LEAST_FACTOR, Block, TargetRule


@dataclass(frozen=True, slots=True)
class ListRules:
    """The rows that rules pin and block in one list."""

    pinned: Sequence[int] = ()  # in the order of the list
    blocked: Sequence[int] = ()
    pinned_ids: frozenset[str] = frozenset()  # also the unknown ones


class AppliedRules:
    """The active rules applied to one snapshot. Articles that are not in it are ignored."""

    def __init__(self, snapshot: Snapshot, categories: Categories, active: ActiveRules) -> None:
        self.active = active
        self._articles = snapshot.articles
        self._categories = categories
        self._row_of: dict[str, int | None] = {}  # only the ids in rules
        self._rows_of: dict[Block, list[int]] = {}  # of blocks by category or author

    @cached_property
    def hidden(self) -> np.ndarray:
        """A mask over the rows, (n,) bool: articles hidden from all lists. Do not change it."""
        mask = np.zeros(len(self._articles), dtype=bool)
        mask[self._rows(self.active.hidden)] = True
        for rule in self.active.hiding:
            if rule.articles is None:
                mask[self._target(rule)] = True
        return mask

    @cached_property
    def newest(self) -> np.ndarray:
        """The rows that are not hidden, newest first."""
        newest = self._articles.newest
        return newest[~self.hidden[newest]] if self.active.hiding else newest

    def list_rules(self, article_id: str | None, categories: Sequence[str] = ()) -> ListRules:
        """Return the rules for the list of an article with these categories."""
        if not self.active.rules:
            return ListRules()
        pins = self.active.pins(article_id, categories)
        blocked = self._rows(self.active.blocked(article_id, categories))
        for block in self.active.blocks(article_id, categories):
            if block.articles is None:
                blocked += self._rows_of_block(block)
        return ListRules(self._rows(pins), blocked, frozenset(pins))

    @cached_property
    def boosts(self) -> np.ndarray | None:
        """The factor on the score of each row, (n,) float64; None without a boost.

        The boosts of one article are multiplied, and the product is limited to 0.1 to 10.
        """
        if not self.active.boosts:
            return None
        factors = np.ones(len(self._articles))
        for boost in self.active.boosts:
            factors[self._target(boost)] *= boost.factor
        return np.clip(factors, LEAST_FACTOR, GREATEST_FACTOR)

    @cached_property
    def caps(self) -> Caps:
        """The active caps: on the articles of one primary category, and on those of one first author."""
        codes_of = {"category": lambda: self._articles.category.codes, "author": self._first_authors}
        limits = {per: limit for per in codes_of if (limit := self.active.cap(per)) is not None}
        return Caps([codes_of[per]() for per in limits], list(limits.values()))

    def _rows(self, article_ids: Iterable[str]) -> list[int]:
        """Return the rows of the known ids."""
        for article_id in article_ids:
            if article_id not in self._row_of:
                self._row_of[article_id] = self._articles.find(article_id)
        rows = (self._row_of[article_id] for article_id in article_ids)
        return [row for row in rows if row is not None]

    def _rows_of_block(self, block: Block) -> list[int]:
        """Return the shown rows of a block by category or author, computed once for all lists."""
        if block not in self._rows_of:
            mask = np.zeros(len(self._articles), dtype=bool)
            mask[self._target(block)] = True
            self._rows_of[block] = np.flatnonzero(mask & self._articles.shown).tolist()
        return self._rows_of[block]

    def _target(self, rule: TargetRule) -> list[int] | np.ndarray:
        """Return the rows of a rule's articles: distinct, or as a mask (n,) bool."""
        if rule.articles is not None:
            return sorted(set(self._rows(rule.articles)))
        if rule.by_author is not None:
            return self._by_author(rule.by_author)
        try:
            return self._categories.rows([rule.in_category or ""])
        except UnknownCategoryError:  # no article has this category yet
            return []

    def _by_author(self, author: str) -> np.ndarray:
        mask = np.zeros(len(self._articles), dtype=bool)
        n, author_key = len(self._articles.trained), key(author)
        mask[:n] = self._articles.trained.authors.rows_with(self._author_codes.get(author_key, []))
        mask[self._live_rows_of_author.get(author_key, [])] = True
        return mask

    @cached_property
    def _author_codes(self) -> dict[str, list[int]]:
        """The codes of the model's authors, by the form in which names are compared."""
        codes_of: dict[str, list[int]] = {}
        for code, name in enumerate(self._articles.trained.authors.names):
            codes_of.setdefault(key(name), []).append(code)
        return codes_of

    @cached_property
    def _live_rows_of_author(self) -> dict[str, list[int]]:
        """The rows of live articles, by the form in which their authors are compared."""
        documents, rows_of = self._articles, dict[str, list[int]]()
        for row, article in enumerate(documents.live, start=len(documents.trained)):
            for name in article.authors:
                rows_of.setdefault(key(name), []).append(row)
        return rows_of

    def _first_authors(self) -> np.ndarray:
        """Return a code for the first author of each row, (n,) int64; -1 without an author."""
        documents = self._articles
        column = documents.trained.authors
        has_author = column.offsets[:-1] < column.offsets[1:]
        codes = np.full(len(documents), -1, dtype=np.int64)
        codes[: len(documents.trained)][has_author] = column.codes[column.offsets[:-1][has_author]]
        code_of = {name: code for code, name in enumerate(column.names)} if documents.n_live else {}
        for row, article in enumerate(documents.live, start=len(documents.trained)):
            for first in article.authors[:1]:
                codes[row] = code_of.setdefault(first, len(code_of))
        return codes
