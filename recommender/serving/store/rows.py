"""The arguments and results of the store, as plain values.

Moments are whole microseconds since 1970 in UTC.
"""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from json import dumps
from typing import Literal

import numpy as np

Outcome = Literal["created", "updated", "unchanged", "older"]
Verdict = Literal["counted", "duplicate", "capped"]


class StoreError(Exception):
    """The store cannot be used as configured; the message says what is wrong and how to fix it."""


class StoreDownError(StoreError):
    """The database is busy, full, broken or unreachable; the message says which. Try again later."""


class StaleError(StoreError):
    """The data changed since the caller read it."""


@dataclass(frozen=True)
class DatabaseFacts:
    """A database that serving can use."""

    name: str  # for SQLite the path of its file
    version: int  # of its schema; 0: it is empty or does not exist yet
    newest: int  # the version that serving would migrate it to
    now: datetime | None = None  # by its own clock; None for SQLite


@dataclass(frozen=True)
class ArticleRow:
    """An article that was put after the model was trained, or a withdrawal."""

    id: str
    updated: int  # in the CMS, or when it was withdrawn
    withdrawn: bool
    payload: bytes | None  # the article as JSON, None if withdrawn
    version: int = 0  # of its last change, set by the store
    model_version: str | None = None  # the model that the embedding was made with
    embedding: bytes | None = None  # opaque here; stored so that other workers need not compute it


@dataclass(frozen=True)
class RuleSet:
    """All editorial rules in order, as (id, JSON); the store does not parse them."""

    rules: tuple[tuple[str, str], ...] = ()
    version: int = 0  # of the last change to any rule

    @property
    def etag(self) -> str:
        """A hash of the ids, the JSON and the order."""
        return sha256(dumps(self.rules).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Changes:
    """The changes after a version, up to this `version`.

    If `complete`, these are all articles and rules in the store: the caller's version was 0, or came from
    another database, or from this one before it was restored from a backup. `rules` is None if the rules did
    not change.
    """

    version: int
    articles: list[ArticleRow]
    rules: RuleSet | None
    complete: bool


@dataclass(frozen=True, slots=True)
class Event:
    """Something that readers did with an article, `count` times.

    `visitor` and `source` are keyed hashes of the visitor's id and of the IP address. A visitor counts once
    per article and type in a visitor window; without a visitor, every event counts. A source counts up to its
    cap per article, type and source window; without a source there is no cap, as for a CMS that relays events
    with its key. A `total` replaces `count`: it is the number of events so far with this `event_id`, and only
    what it adds to the highest total before is counted.
    """

    article_id: str
    type: str
    at: int
    count: int = 1
    event_id: str | None = None
    total: int | None = None
    visitor: bytes | None = None
    source: bytes | None = None
    from_id: str | None = None
    position: int | None = None
    list: str | None = None
    model_version: str | None = None


@dataclass(frozen=True)
class Counts:
    """Counts of events in buckets. They are totals, and replace earlier counts of the same bucket.

    A bucket is a minute, an article and a type. Before the minute `hours_until` it is an hour, identified by
    its first minute. If `complete`, these are all buckets, and the caller should drop its earlier counts.
    """

    newest: int  # the number of the last change; pass it as `after` next time
    complete: bool
    hours_until: int
    minutes: np.ndarray  # (n,) int64, minutes since 1970
    article_ids: tuple[str, ...]  # (n_articles,) distinct
    article_codes: np.ndarray  # (n,) int32, positions in article_ids
    types: tuple[str, ...]  # (n_types,) distinct
    type_codes: np.ndarray  # (n,) int32, positions in types
    counts: np.ndarray  # (n,) int64


@dataclass(frozen=True)
class PositionCount:
    """How often readers did something with an article at one position of a list, in one hour."""

    hour: int  # hours since 1970
    from_id: str | None
    article_id: str
    list: str | None
    position: int | None
    model_version: str | None
    type: str
    count: int
