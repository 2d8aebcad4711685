"""Surrogate keys: short names by which shared caches forget the answers that a change concerns.

An answer has the key of every article that it shows, as itself or as a copy, and of every article whose list,
page or facts it is; `newest` where a new article may join it, whatever that is about; `many` where the keys
would be too many for a header.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any, TypeGuard

import numpy as np

from recommender.neighbors import NO_ROW
from recommender.serving.index.snapshot import Snapshot
from recommender.serving.lists.candidates import TOLERANCE
from recommender.serving.rules.schema import Block, Pin, Rule, Sensitive
from recommender.serving.worker.follower import WorkerState

EVERYTHING = "recommender"  # a key of every answer
NEWEST = "newest"
MANY = "many"
MAX_BYTES = (
    1800  # of the keys of an answer: proxies take 4 KiB for all headers together, nginx's own included
)
MAX_OF_CHANGE = 1000
MAX_CHANGED = 50  # articles, of which it is looked up whose lists they join

_SHORT = re.compile(r"[A-Za-z0-9_.-]{1,16}")
_STANDING = {"similar", "pin"}  # items that stand in a list for what they are about


def shown(article_id: str) -> str:
    """Return the key of the answers that show an article."""
    return f"a-{_name(article_id)}"


def around(article_id: str) -> str:
    """Return the key of what is asked for an article: its list, its page, its facts."""
    return f"of-{_name(article_id)}"


def keys_of(answer: dict[str, Any]) -> tuple[str, ...]:
    """Return the keys of an answer as the contract has it, in order, `EVERYTHING` first."""
    keys = {*_named(answer), *(() if _is_settled(answer) else (NEWEST,))}
    if isinstance(answer.get("id"), str):
        keys.add(around(answer["id"]))
    is_short = sum(map(len, keys)) + len(keys) <= MAX_BYTES
    return (EVERYTHING, *(sorted(keys) if is_short else (MANY, NEWEST)))


def keys_between(before: WorkerState, after: WorkerState) -> frozenset[str]:
    """Return the keys of the answers that may differ now that one state followed another."""
    old, new = before.snapshot, after.snapshot
    if old is None or new is None:
        return frozenset() if old is new else frozenset({EVERYTHING})
    if old.model is not new.model:
        return frozenset({EVERYTHING})
    changed = _changed(old, new)
    if len(changed) > MAX_CHANGED:
        return frozenset({EVERYTHING})
    keys = {key for article_id in changed for key in _of_article(new, article_id)}
    if keys:
        keys.add(NEWEST)
    if before.rules is not after.rules:
        keys |= _of_rules(before.rules.rules, after.rules.rules)
    if keys:
        keys.add(MANY)
    is_all = EVERYTHING in keys or len(keys) > MAX_OF_CHANGE
    return frozenset({EVERYTHING}) if is_all else frozenset(keys)


def _name(article_id: str) -> str:
    """Return a short id as it is, and of others a digest, for they may hold anything."""
    if _SHORT.fullmatch(article_id):
        return article_id
    digest = blake2b(article_id.encode(errors="surrogatepass"), digest_size=9).digest()
    return f"~{urlsafe_b64encode(digest).decode()}"


def _named(answer: Any) -> Iterator[str]:
    if isinstance(answer, list):
        for value in answer:
            yield from _named(value)
    if not isinstance(answer, dict):
        return
    if isinstance(answer.get("id"), str):
        yield shown(answer["id"])
        for copy in answer.get("also_published_as") or ():
            yield shown(copy)
    if isinstance(answer.get("article_id"), str):
        yield around(answer["article_id"])
    for name, value in answer.items():
        if name == "article" and isinstance(value, dict):
            yield around(value["id"])
        yield from _named(value)


def _is_settled(answer: dict[str, Any]) -> bool:
    """Tell whether a list is full of what it is about: a new article joins it only by being that, too."""
    items = answer.get("items")
    if not isinstance(items, list) or len(items) != answer.get("requested"):
        return "items" not in answer and isinstance(answer.get("id"), str)  # the facts of one article
    return all(item["source"] in _STANDING for item in items)


def _changed(old: Snapshot, new: Snapshot) -> set[str]:
    """Return the ids of the articles that were put or withdrawn, or are so no longer."""
    live, former = new.articles.row_of, old.articles.row_of
    put = {
        each
        for each, row in live.items()
        if (was := former.get(each)) is None or old.articles.article(was) is not new.articles.article(row)
    }
    gone = {each for each in former if each not in live}
    return put | gone | {each for each, _ in old.withdrawn.items() ^ new.withdrawn.items()}


def _of_article(snapshot: Snapshot, article_id: str) -> Iterator[str]:
    """Yield the keys of an article: its own, and those of the lists in which it stands, or may."""
    yield shown(article_id)
    yield around(article_id)
    row = snapshot.articles.find(article_id)
    if row is None or article_id in snapshot.withdrawn:
        return
    ids, n = snapshot.articles.ids, len(snapshot.model.articles)
    if row < n:  # as the model has it, after all: whose lists that changes nobody has noted
        yield EVERYTHING
        return
    for copy in snapshot.copies.of(row):
        yield shown(ids[copy])
    for other in (*snapshot.folded[row - n].reached.tolist(), *_reached_live(snapshot, row)):
        yield around(ids[other])


def _reached_live(snapshot: Snapshot, row: int) -> list[int]:
    """Return the live rows in whose lists the live article of a row is similar; its own, too."""
    n, folded = len(snapshot.model.articles), snapshot.folded[: snapshot.live]
    likeness = snapshot.vectors.scores(folded[row - n].embedding, snapshot.latent_weight)
    share = np.array([each.feedback if each.nearest != NO_ROW else 0.0 for each in folded])
    moved = likeness[n:] + share * likeness[[max(each.nearest, 0) for each in folded]]
    scores = moved / (1 + share) - folded[row - n].hub
    found: list[int] = (n + np.flatnonzero(scores > snapshot.manifest.similar_above - TOLERANCE)).tolist()
    return found


def _of_rules(before: Iterable[Rule], after: Iterable[Rule]) -> set[str]:
    """Return the keys of what rules change that came or went. Those that act later count as those now."""
    keys: set[str] = set()
    old, new = set(before), set(after)
    for rule in old ^ new:
        if isinstance(rule, Pin | Block) and rule.for_article is not None:
            keys.add(around(rule.for_article))
        elif rule in new and _hides(rule):
            keys |= {shown(each) for each in rule.articles}
        else:
            keys.add(EVERYTHING)
    return keys


def _hides(rule: Rule) -> TypeGuard[Block | Sensitive]:
    """Tell whether a rule takes its articles out of all lists: what does not show them stays as it is."""
    return isinstance(rule, Sensitive) or (isinstance(rule, Block) and rule.for_category is None)
