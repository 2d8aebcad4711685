"""The articles of an edition in columns: those of the model, and below them those that came after it."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

import numpy as np

from recommender.article import Article, canonical_url
from recommender.columns import Choice, Labels
from recommender.model import Articles, microseconds
from recommender.text import reading_minutes

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class _Column(Protocol[T_co]):
    def __len__(self) -> int: ...

    def __getitem__(self, row: int) -> T_co: ...


class Joined(Sequence[T]):
    """A column of the model, continued by a value of each live article."""

    def __init__(
        self, head: _Column[T], tail: Sequence[Article], size: int, value: Callable[[Article], T]
    ) -> None:
        self._head, self._tail, self._size, self._value = head, tail, size, value

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self._head) + self._size

    def __getitem__(self, row: int) -> T:  # type: ignore[override]  # no slices: nobody needs them
        """Return the value of a row."""
        n = len(self._head)
        return self._head[row] if row < n else self._value(self._tail[row - n])

    def __iter__(self) -> Iterator[T]:
        """Yield the values in row order."""
        return (self[row] for row in range(len(self)))


@dataclass(frozen=True)
class Documents:
    """What `Articles` is to a model. A live article stands in for an earlier state of the same id.

    `shown` are the rows that may be met at all: neither withdrawn nor an earlier state.
    """

    head: Articles
    tail: list[Article]  # shared with later editions, which append to it
    row_of: dict[str, int]  # of live ids
    row_of_url: dict[str, int]  # of their canonical URLs
    langs: Choice
    category: Choice
    categories: Labels
    published: np.ndarray  # (n + m,) int64, microseconds since 1970, NO_MOMENT where undated
    updated: np.ndarray  # likewise
    minutes: np.ndarray  # (n + m,) int32
    shown: np.ndarray  # (n + m,) bool
    newest: np.ndarray  # the rows shown, newest first, equal dates in the order of ids, undated last
    size: int = field(default=0)  # how many of the tail there are for this edition

    @classmethod
    def of(cls, articles: Articles) -> "Documents":
        """Return the articles of a model, and none besides."""
        return cls(
            head=articles,
            tail=[],
            row_of={},
            row_of_url={},
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
        """Return how many rows there are."""
        return len(self.shown)

    def find(self, article_id: str) -> int | None:
        """Return the row of an id in its latest state, withdrawn or not; None where it is unknown."""
        row = self.row_of.get(article_id)
        return self.head.ids.find(article_id) if row is None else row

    def find_url(self, url: str) -> int | None:
        """Return the row of the article with this URL, compared in canonical form; None where none has it."""
        row = self.row_of_url.get(canonical_url(url))
        if row is None:
            row = self.head.find_url(url)
        # The URL of an earlier state still finds the article.
        return None if row is None else self.find(self.ids[row])

    @property
    def ids(self) -> Joined[str]:
        """The ids."""
        return Joined(self.head.ids, self.tail, self.size, lambda article: article.id)

    @property
    def titles(self) -> Joined[str]:
        """The titles."""
        return Joined(self.head.titles, self.tail, self.size, lambda article: article.title)

    @property
    def bodies(self) -> Joined[str]:
        """The bodies."""
        return Joined(self.head.bodies, self.tail, self.size, lambda article: article.body)

    @property
    def urls(self) -> Joined[str]:
        """The URLs; empty: none."""
        return Joined(self.head.urls, self.tail, self.size, lambda article: article.url or "")

    @property
    def image_urls(self) -> Joined[str]:
        """The addresses of the images; empty: none."""
        return Joined(self.head.image_urls, self.tail, self.size, lambda article: article.image_url or "")

    @property
    def types(self) -> Joined[str | None]:
        """The types."""
        return Joined(self.head.types, self.tail, self.size, lambda article: article.type)

    @property
    def tags(self) -> Joined[tuple[str, ...]]:
        """The tags."""
        return Joined(self.head.tags, self.tail, self.size, lambda article: article.tags)

    @property
    def authors(self) -> Joined[tuple[str, ...]]:
        """The authors."""
        return Joined(self.head.authors, self.tail, self.size, lambda article: article.authors)

    def article(self, row: int) -> Article:
        """Return the whole article of a row."""
        n = len(self.head)
        return self.head.article(row) if row < n else self.tail[row - n]

    def grown(self, articles: Sequence[Article]) -> "Documents":
        """Return the shelf with these below, each in the place of an earlier state of its id."""
        first = len(self)
        shown = np.concatenate([self.shown, np.ones(len(articles), dtype=bool)])
        row_of, row_of_url = dict(self.row_of), dict(self.row_of_url)
        for row, article in enumerate(articles, start=first):
            former = row_of.get(article.id)
            former = self.head.ids.find(article.id) if former is None else former
            if former is not None:
                shown[former] = False
            row_of[article.id] = row
            if article.url:
                row_of_url[canonical_url(article.url)] = row
        self.tail.extend(articles)
        moments = [microseconds(article.published_at) for article in articles]
        changes = [microseconds(article.updated_at) for article in articles]
        minutes = [reading_minutes(article.body) for article in articles]
        grown = replace(
            self,
            row_of=row_of,
            row_of_url=row_of_url,
            langs=self.langs.continued([article.lang for article in articles]),
            category=self.category.continued([article.category for article in articles]),
            categories=self.categories.continued([article.categories for article in articles]),
            published=np.concatenate([self.published, np.array(moments, dtype=np.int64)]),
            updated=np.concatenate([self.updated, np.array(changes, dtype=np.int64)]),
            minutes=np.concatenate([self.minutes, np.array(minutes, dtype=np.int32)]),
            shown=shown,
            newest=self.newest[shown[self.newest]],
            size=self.size + len(articles),
        )
        fresh = [row for row in range(first, len(grown)) if shown[row]]
        fresh.sort(key=lambda row: (-int(grown.published[row]), grown.ids[row].encode()))
        places = [grown.place_of(int(grown.published[row]), grown.ids[row]) for row in fresh]
        return replace(grown, newest=np.insert(grown.newest, places, fresh).astype(np.int32))

    def without(self, rows: Sequence[int]) -> "Documents":
        """Return the shelf with these rows no longer shown."""
        shown = self.shown.copy()
        shown[list(rows)] = False
        return replace(self, shown=shown, newest=self.newest[shown[self.newest]])

    def place_of(self, date: int, article_id: str) -> int:
        """Return where an article of a date and id stands among the newest, or would stand."""
        return place_among(self.newest, self, date, article_id)


def place_among(
    newest: np.ndarray, documents: Documents, date: int, article_id: str, *, behind: bool = False
) -> int:
    """Return where an article of a date and id stands, or would, among rows in the order of `newest`.

    `behind` makes it the place behind the article itself, if that is there.
    """
    first = bisect_left(newest, -date, key=lambda row: -int(documents.published[row]))
    end = bisect_right(newest, -date, lo=first, key=lambda row: -int(documents.published[row]))
    bisect = bisect_right if behind else bisect_left
    return bisect(newest, article_id.encode(), lo=first, hi=end, key=lambda row: documents.ids[row].encode())
