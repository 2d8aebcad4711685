"""The moments from which responses are made, and which cached responses a change between two concerns."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from weakref import ReferenceType, ref

import numpy as np

from recommender.model import microseconds
from recommender.serving.cache.surrogates import EVERYTHING, MAX_CHANGED, Content, keys_of_change
from recommender.serving.index.documents import Documents
from recommender.serving.index.snapshot import Snapshot
from recommender.serving.lists.related import Related
from recommender.serving.rules.active import ActiveRules
from recommender.serving.worker.consistent_view import ConsistentView, Span

_MAX_KEYS = 100_000  # that are remembered; with more, a change concerns everything
_OUTDATED = 8  # contents that are remembered, because requests may still use them
_NO_NUMBER = -1


@dataclass(frozen=True, slots=True)
class Generation:
    """Lists that stay the same in a span of time. Later generations have greater numbers."""

    related: Related
    now: datetime  # a moment in the span
    span: Span
    next_change: datetime | None  # see `Related.next_change`; it is the same in the whole span
    number: int
    cleared: int  # the last generation in which everything was new

    @classmethod
    def of(cls, view: ConsistentView, number: int = _NO_NUMBER, cleared: int = _NO_NUMBER) -> "Generation":
        """Return the generation of a view."""
        next_change = view.related.next_change(view.now)
        return cls(view.related, view.now, Span.around(view), next_change, number, cleared)

    @property
    def is_outdated(self) -> bool:
        """Whether a later one has replaced it already; then nothing is cached for it."""
        return self.number == _NO_NUMBER

    def is_valid(self, view: ConsistentView) -> bool:
        """Return whether the lists are those of a view."""
        return self.related is view.related and view.now in self.span

    def keys_until(self, view: ConsistentView) -> frozenset[str]:
        """Return the surrogate keys of what is different in a view."""
        if _hour(self.now) != _hour(view.now):
            return frozenset({EVERYTHING})  # the ages of articles have changed
        documents = view.related.articles
        published = _published_between(documents, *sorted((self.now, view.now)))
        if len(published) > MAX_CHANGED:
            return frozenset({EVERYTHING})
        ids = [documents.ids[row] for row in published]
        return keys_of_change(_content(self.related), _content(view.related), ids)


class Generations:
    """Numbers the generations, and remembers in which one each surrogate key changed last."""

    def __init__(self) -> None:
        self.latest: Generation | None = None
        self._last_of: dict[str, int] = {}
        self._outdated: deque[tuple[ReferenceType[Snapshot], ReferenceType[ActiveRules]]]
        self._outdated = deque(maxlen=_OUTDATED)
        self._lock = Lock()

    def of(self, view: ConsistentView) -> Generation:
        """Return the generation of a view: the latest one, the next one, or one that is outdated already."""
        known = self.at_once(view)
        if known is not None:
            return known
        with self._lock:
            known = self.at_once(view)
            if known is not None:
                return known
            if self._is_outdated(view.related):  # the request began before the last change
                return Generation.of(view)
            self.latest = self._next(self.latest, view)
            return self.latest

    def at_once(self, view: ConsistentView) -> Generation | None:
        """Return the generation of a view if it is the latest one and known; this waits for nothing."""
        latest = self.latest
        return latest if latest is not None and latest.is_valid(view) else None

    def concern(self, keys: Iterable[str], generation: Generation, since: int) -> bool:
        """Return whether a change after the generation numbered `since` concerns a response with these keys.

        `generation` is the one in which the response would be used.
        """
        last_of = self._last_of
        return since < generation.cleared or any(last_of.get(key, 0) > since for key in keys)

    def _next(self, latest: Generation | None, view: ConsistentView) -> Generation:
        number = 0 if latest is None else latest.number + 1
        keys = frozenset({EVERYTHING}) if latest is None else latest.keys_until(view)
        if latest is None or EVERYTHING in keys or len(self._last_of) + len(keys) > _MAX_KEYS:
            self._last_of, cleared = {}, number
        else:
            self._last_of.update(dict.fromkeys(keys, number))
            cleared = latest.cleared
        if latest is not None and latest.related is not view.related:
            self._outdated.append((ref(latest.related.snapshot), ref(latest.related.rules.active)))
        return Generation.of(view, number, cleared)

    def _is_outdated(self, related: Related) -> bool:
        """Return whether other lists have replaced these."""
        snapshot, active = related.snapshot, related.rules.active
        return any(old() is snapshot and rules() is active for old, rules in self._outdated)


def _content(related: Related) -> Content:
    return Content(related.snapshot, related.rules.active.rules)


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _published_between(documents: Documents, begin: datetime, end: datetime) -> list[int]:
    """Return the rows with a date after `begin`, up to `end`."""
    published = documents.published
    is_between = (published > microseconds(begin)) & (published <= microseconds(end))
    rows: list[int] = np.flatnonzero(is_between).tolist()
    return rows
