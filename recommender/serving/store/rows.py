"""What the store takes and gives: plain values that know no database.

Moments are whole microseconds since 1970 in UTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from json import dumps
from typing import Literal

import numpy as np

Outcome = Literal["created", "updated", "unchanged", "older"]
Verdict = Literal["counted", "duplicate", "capped"]


class StoreError(Exception):
    """The store cannot be used as it is set up; the message says what is wrong and the cure."""


class StoreDownError(StoreError):
    """The database is busy, full, broken or out of reach for now; the message says which. Ask again later."""


class StaleError(StoreError):
    """What the caller has seen is no longer what the store holds."""


@dataclass(frozen=True)
class ArticleRow:
    """An article that came after the model was trained, or that was withdrawn."""

    id: str
    updated: int  # of the CMS, or of the withdrawal
    withdrawn: bool
    payload: bytes | None  # JSON of the article, None when withdrawn
    version: int = 0  # of the change, given by the store
    model_version: str | None = None  # that the embedding is of
    embedding: bytes | None = None  # opaque, so that other workers need not compute it


@dataclass(frozen=True)
class RuleSet:
    """All editorial rules in order, each its id and its JSON; the store does not look into them."""

    rules: tuple[tuple[str, str], ...] = ()
    version: int = 0  # of the last change to any of them

    @property
    def etag(self) -> str:
        """A hash of ids, JSON and order."""
        return sha256(dumps(self.rules).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Changes:
    """What changed after a version, up to this `version`.

    `complete` says that this is all the store holds, not only what is new: the asker's version was 0, or came
    from another database, or from this one before it was set back to a backup. The rules are None where they
    did not change.
    """

    version: int
    articles: list[ArticleRow]
    rules: RuleSet | None
    complete: bool


@dataclass(frozen=True, slots=True)
class Event:
    """One thing readers did with an article, or `count` of them.

    `visitor` and `source` are keyed hashes, of the visitor's id and of the address. A visitor counts once per
    article and type in the visitor window; without one every event counts. A source counts up to its cap per
    article, type and source window; None has no cap, for a CMS that relays with its key.
    """

    article_id: str
    type: str
    at: int
    count: int = 1
    event_id: str | None = None
    visitor: bytes | None = None
    source: bytes | None = None
    from_id: str | None = None
    position: int | None = None
    list: str | None = None
    model_version: str | None = None


@dataclass(frozen=True)
class Counts:
    """Counts of events in buckets: whole new counts, which replace those of the same bucket.

    A bucket is a minute; before `hours_until` (a minute) it is an hour, named by its first minute. `complete`
    says that these are all buckets, and that the asker should forget what it had.
    """

    newest: int  # the number to ask with next time
    complete: bool
    hours_until: int
    minutes: np.ndarray  # (n,) int64, minutes since 1970
    article_ids: tuple[str, ...]  # (n_articles,) each once
    articles: np.ndarray  # (n,) int32, positions in article_ids
    types: tuple[str, ...]  # (n_types,) each once
    kinds: np.ndarray  # (n,) int32, positions in types
    counts: np.ndarray  # (n,) int64


@dataclass(frozen=True)
class PositionCount:
    """How often readers did something with an article in a place where it was shown, in an hour."""

    hour: int  # hours since 1970
    from_id: str | None
    article_id: str
    list: str | None
    position: int | None
    model_version: str | None
    type: str
    count: int


Rules = Sequence[tuple[str, str]]
