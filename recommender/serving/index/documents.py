"""The articles of a snapshot in columns: those of the model, followed by live ones.

One mask decides what may appear: `Documents.shown` is false for withdrawn articles and for replaced states of
live articles. `newest` contains the shown rows, and the timeline, all filters, the links to the previous and
next article, pages and topics are made from it. So a withdrawn article cannot be left in one of them by
mistake. Articles that rules hide are removed from `newest` in the same way (`rules.applied`). A test changes
articles, rules, models and the clock in random orders, and after each step checks all endpoints
(`tests/support/state_machine.py`).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, TypeVar

import numpy as np

from recommender.article import Article, canonical_url
from recommender.columns import Choice, Labels
from recommender.model import Articles, microseconds
from recommender.page_urls import page_key
from recommender.reading_time import reading_minutes

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
_SHARED = -1


class _Column(Protocol[T_co]):
    def __len__(self) -> int: ...

    def __getitem__(self, row: int) -> T_co: ...


class JoinedColumn(Sequence[T]):
    """A column of the model, followed by a value of each live article."""

    def __init__(self, trained: _Column[T], live: Sequence[Article], value: Callable[[Article], T]) -> None:
        self._trained, self._live, self._value = trained, live, value
        self._n = len(trained)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._n + len(self._live)

    def __getitem__(self, row: int) -> T:  # type: ignore[override]  # slices are not needed
        """Return the value of a row."""
        return self._trained[row] if row < self._n else self._value(self._live[row - self._n])

    def __iter__(self) -> Iterator[T]:
        """Yield the values in row order."""
        return (self[row] for row in range(len(self)))


@dataclass(frozen=True)
class Documents:
    """The articles of a snapshot, with the columns of `Articles`: n of the model, then m live articles.

    A live article replaces the earlier state of the same id. `shown` marks the rows that may appear anywhere:
    those that are neither withdrawn nor replaced.
    """

    trained: Articles
    live: tuple[Article, ...]
    row_of: dict[str, int]  # of live ids
    row_of_url: dict[str, int]  # of the canonical URLs of live articles
    row_of_page: dict[str, int]  # of their page keys; _SHARED if several articles have the key
    langs: Choice
    category: Choice
    categories: Labels
    published: np.ndarray  # (n + m,) int64, microseconds since 1970, NO_MOMENT if undated
    updated: np.ndarray  # likewise
    minutes: np.ndarray  # (n + m,) int32
    shown: np.ndarray  # (n + m,) bool
    newest: np.ndarray  # the shown rows, newest first, equal dates in id order, undated last

    @classmethod
    def of(cls, articles: Articles) -> "Documents":
        """Return the articles of a model, without live ones."""
        return cls(
            trained=articles,
            live=(),
            row_of={},
            row_of_url={},
            row_of_page={},
            langs=articles.langs,
            category=articles.category,
            categories=articles.categories,
            published=articles.published,
            updated=articles.updated,
            minutes=articles.minutes,
            shown=np.ones(len(articles), dtype=bool),
            newest=articles.newest,
        )

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.shown)

    @property
    def n_live(self) -> int:
        """The number of live articles, including those replaced by later ones."""
        return len(self.live)

    def find(self, article_id: str) -> int | None:
        """Return the row of the latest state of an id, withdrawn or not, or None if it is unknown."""
        row = self.row_of.get(article_id)
        return self.trained.ids.find(article_id) if row is None else row

    def find_url(self, url: str) -> int | None:
        """Return the row of the article with this URL, or else of the page it is a variant of, or None."""
        canonical, key = canonical_url(url), page_key(url)
        row = self.row_of_url.get(canonical)
        if row is None and canonical != key:
            row = self.trained.find_url_key(canonical)
        if row is None:
            row = self._row_of_page(key)
        # The URL of an earlier state still finds the article.
        return None if row is None else self.find(self.ids[row])

    def _row_of_page(self, key: str) -> int | None:
        """Return the row of the one article with this page key; its exact URL decides between several."""
        if key in self.row_of_url:
            return self.row_of_url[key]
        trained, live = self.trained.find_url_key(key), self.row_of_page.get(key)
        if live is None or (trained is not None and canonical_url(self.trained.urls[trained]) == key):
            return trained
        if live == _SHARED or (trained is not None and self.ids[trained] != self.ids[live]):
            return None
        return live

    @cached_property
    def ids(self) -> JoinedColumn[str]:
        """The ids."""
        return JoinedColumn(self.trained.ids, self.live, lambda article: article.id)

    @cached_property
    def titles(self) -> JoinedColumn[str]:
        """The titles."""
        return JoinedColumn(self.trained.titles, self.live, lambda article: article.title)

    @cached_property
    def bodies(self) -> JoinedColumn[str]:
        """The bodies."""
        return JoinedColumn(self.trained.bodies, self.live, lambda article: article.body)

    @cached_property
    def urls(self) -> JoinedColumn[str]:
        """The URLs, empty if missing."""
        return JoinedColumn(self.trained.urls, self.live, lambda article: article.url or "")

    @cached_property
    def image_urls(self) -> JoinedColumn[str]:
        """The URLs of the images, empty if missing."""
        return JoinedColumn(self.trained.image_urls, self.live, lambda article: article.image_url or "")

    @cached_property
    def types(self) -> JoinedColumn[str | None]:
        """The types."""
        return JoinedColumn(self.trained.types, self.live, lambda article: article.type)

    @cached_property
    def tags(self) -> JoinedColumn[tuple[str, ...]]:
        """The tags."""
        return JoinedColumn(self.trained.tags, self.live, lambda article: article.tags)

    @cached_property
    def authors(self) -> JoinedColumn[tuple[str, ...]]:
        """The authors."""
        return JoinedColumn(self.trained.authors, self.live, lambda article: article.authors)

    def article(self, row: int) -> Article:
        """Return the whole article of a row."""
        n = len(self.trained)
        return self.trained.article(row) if row < n else self.live[row - n]

    def with_articles(self, articles: Sequence[Article]) -> "Documents":
        """Return the documents with these live articles added; each replaces the earlier state of its id."""
        first, n, live = len(self), len(self.trained), (*self.live, *articles)
        shown = np.concatenate([self.shown, np.ones(len(articles), dtype=bool)])
        row_of, row_of_url, row_of_page = dict(self.row_of), dict(self.row_of_url), dict(self.row_of_page)
        for row, article in enumerate(articles, start=first):
            replaced = row_of.get(article.id)
            replaced = self.trained.ids.find(article.id) if replaced is None else replaced
            if replaced is not None:
                shown[replaced] = False
            row_of[article.id] = row
            if article.url:
                row_of_url[canonical_url(article.url)] = row
                other = row_of_page.get(key := page_key(article.url))
                is_shared = other is not None and (other == _SHARED or live[other - n].id != article.id)
                row_of_page[key] = _SHARED if is_shared else row
        published = [microseconds(article.published_at) for article in articles]
        updated = [microseconds(article.updated_at) for article in articles]
        minutes = [reading_minutes(article.body) for article in articles]
        documents = replace(
            self,
            live=live,
            row_of=row_of,
            row_of_url=row_of_url,
            row_of_page=row_of_page,
            langs=self.langs.continued([article.lang for article in articles]),
            category=self.category.continued([article.category for article in articles]),
            categories=self.categories.continued([article.categories for article in articles]),
            published=np.concatenate([self.published, np.array(published, dtype=np.int64)]),
            updated=np.concatenate([self.updated, np.array(updated, dtype=np.int64)]),
            minutes=np.concatenate([self.minutes, np.array(minutes, dtype=np.int32)]),
            shown=shown,
            newest=self.newest[shown[self.newest]],
        )
        new_rows = [row for row in range(first, len(documents)) if shown[row]]
        new_rows.sort(key=lambda row: (-int(documents.published[row]), documents.ids[row].encode()))
        positions = [
            documents.position_of(int(documents.published[row]), documents.ids[row]) for row in new_rows
        ]
        newest = np.insert(documents.newest, positions, new_rows).astype(np.int32)
        return replace(documents, newest=newest)

    def without(self, rows: Sequence[int]) -> "Documents":
        """Return the documents with these rows no longer shown."""
        shown = self.shown.copy()
        shown[list(rows)] = False
        return replace(self, shown=shown, newest=self.newest[shown[self.newest]])

    def position_of(self, date: int, article_id: str) -> int:
        """Return the position in `newest` at which an article with this date and id is, or would be."""
        return position_among(self.newest, self, date, article_id)


def position_among(
    newest: np.ndarray, documents: Documents, date: int, article_id: str, *, after: bool = False
) -> int:
    """Return the position at which an article with this date and id is, or would be, among the rows `newest`.

    With `after`, return the position after the article itself, if it is there.
    """
    rows, published = newest.data, documents.published.data  # much faster to index than the arrays
    first = bisect_left(rows, -date, key=lambda row: -published[row])
    end = bisect_right(rows, -date, lo=first, key=lambda row: -published[row])
    bisect = bisect_right if after else bisect_left
    return bisect(rows, article_id.encode(), lo=first, hi=end, key=lambda row: documents.ids[row].encode())
