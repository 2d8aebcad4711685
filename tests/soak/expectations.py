"""What responses must look like while everything changes, and the faults of those that do not.

The titles of articles say where they come from. The two models that are published in turn have the same
articles, but each title ends with the edition of its model. The title of an article that was put ends with
its revision. So a list of articles of two models, and a correction that does not arrive, are visible.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Any, Literal, get_args

from tests.support.servers import Answer

VISIBLE_SECONDS = 1.0  # after its acknowledgement, a change must be visible in every worker
# After its publication, every worker must serve a new model. The workers share the preparation, and if the
# one that prepares is killed, the others notice after four seconds.
SWITCH_SECONDS = 18.0
_EDITION = re.compile(r" \(edition (\w)\)$")
_REVISION = re.compile(r" \(revision (\d+)\)$")
_STATUS_OF = {"shown": 200, "withdrawn": 410, "blocked": 200, "embargoed": 404}

State = Literal["shown", "withdrawn", "blocked", "embargoed"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True)
class Fault:
    """A response that must not occur: what is wrong with it, and the request."""

    kind: Literal["mixed", "forbidden", "wrong"]
    detail: str
    target: str


@dataclass(frozen=True)
class Change:
    """The last change to an article. Times are of `time.monotonic`."""

    state: State
    since: float | None  # when it was acknowledged; None: it is being changed
    until: float = float("inf")  # when an embargo ends
    revision: int = 0  # 0: as in the model
    revised: float = 0.0  # when this revision was acknowledged


_UNCHANGED = Change("shown", 0.0)


class Expectations:
    """The changes that the server has acknowledged. Threads may share it; each article has one writer."""

    def __init__(self) -> None:
        self._changes: dict[str, Change] = {}
        self._editions: dict[str, str] = {}
        self._published: list[tuple[float, str]] = []
        self._lock = Lock()

    def begin(self, article_id: str) -> Change:
        """Expect nothing of an article, because it is being changed; return its last change."""
        with self._lock:
            last = self._changes.get(article_id, _UNCHANGED)
            self._changes[article_id] = Change(last.state, None, revision=last.revision, revised=last.revised)
            return last

    def end(self, article_id: str, change: Change) -> None:
        """Expect what the server has acknowledged."""
        with self._lock:
            self._changes[article_id] = change

    def publish(self, version: str, edition: str, at: float) -> None:
        """Expect this version, whose titles end with the edition."""
        with self._lock:
            self._editions[version] = edition
            self._published.append((at, version))

    def change_of(self, article_id: str) -> Change:
        """Return the last change to an article."""
        with self._lock:
            return self._changes.get(article_id, _UNCHANGED)

    def changed(self, state: State) -> list[str]:
        """Return the articles in a state."""
        with self._lock:
            return [article_id for article_id, change in self._changes.items() if change.state == state]

    def faults(self, target: str, answer: Answer, begun: float, ended: float) -> Iterator[Fault]:
        """Yield what is wrong with a response with status 200."""
        items = list(_items(answer.body))
        for article in items:
            yield from self._faults_of_item(target, article, begun, ended)
        versions = set(_versions(answer.body))
        editions = {found[1] for article in items if (found := _EDITION.search(article["title"]))}
        if len(versions) > 1 or len(editions) > 1:
            yield Fault("mixed", f"versions {sorted(versions)}, editions {sorted(editions)}", target)
            return
        for version in versions:
            with self._lock:
                known, published = self._editions.get(version), list(self._published)
            if known is not None and not editions <= {known}:
                yield Fault("mixed", f"edition {editions} in {version}, which is {known}", target)
            expected = [name for at, name in published if at < begun - SWITCH_SECONDS][-1:]
            later = [name for at, name in published if at >= begun - SWITCH_SECONDS]
            if expected and version not in {*expected, *later}:
                yield Fault("wrong", f"{version} was replaced by {expected[0]} long ago", target)
        yield from _miscounted(target, answer.body)

    def status_fault(
        self, article_id: str, target: str, answer: Answer, begun: float, ended: float
    ) -> Iterator[Fault]:
        """Yield what is wrong with the status of a response about an article."""
        change, expected = self.change_of(article_id), 200
        if change.since is None or begun < change.since + VISIBLE_SECONDS:
            return
        if change.state == "embargoed" and ended >= change.until:
            if begun < change.until + VISIBLE_SECONDS:
                return
        else:
            expected = _STATUS_OF[change.state]
        if answer.status != expected:
            kind: Literal["forbidden", "wrong"] = "forbidden" if answer.status == 200 else "wrong"
            yield Fault(kind, f"status {answer.status} of an article that is {change.state}", target)

    def _faults_of_item(
        self, target: str, article: dict[str, Any], begun: float, ended: float
    ) -> Iterator[Fault]:
        change = self.change_of(article["id"])
        if change.since is not None and change.state != "shown" and ended < change.until:
            late = begun - change.since - VISIBLE_SECONDS
            if late > 0:
                detail = f"{article['id']} was {change.state} {late + VISIBLE_SECONDS:.2f} s before"
                yield Fault("forbidden", detail, target)
        revision = _REVISION.search(article["title"])
        if begun > change.revised + VISIBLE_SECONDS and change.revision > int(revision[1] if revision else 0):
            detail = f"{article['id']} has the title {article['title']!r} before revision {change.revision}"
            yield Fault("wrong", detail, target)


def _items(value: Any, name: str = "") -> Iterator[dict[str, Any]]:
    """Yield the articles that a response lists, but not the one that it is about."""
    if isinstance(value, list):
        for entry in value:
            yield from _items(entry, name)
    elif isinstance(value, dict):
        if "source" in value and "title" in value and name not in {"article", ""}:
            yield value
        for key, entry in value.items():
            yield from _items(entry, key)


def _versions(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for entry in value:
            yield from _versions(entry)
    elif isinstance(value, dict):
        for key, entry in value.items():
            if key == "model":
                yield entry["version"]
            else:
                yield from _versions(entry)


def _miscounted(target: str, value: Any) -> Iterator[Fault]:
    """Yield the lists with a wrong number of articles, an article twice, or the article itself."""
    if isinstance(value, list):
        for entry in value:
            yield from _miscounted(target, entry)
    elif isinstance(value, dict):
        if "eligible" in value:
            ids = [article["id"] for article in value["items"]]
            expected = min(value["requested"], value["eligible"])
            if not expected == value["returned"] == len(ids) == len({*ids} - {value["article_id"]}):
                yield Fault("wrong", f"{expected} expected, but the list has {ids}", target)
        for entry in value.values():
            yield from _miscounted(target, entry)
