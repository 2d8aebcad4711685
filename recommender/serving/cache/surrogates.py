"""Surrogate keys: short names by which shared caches are purged of the responses that a change concerns.

A response has a key for every article in it (near-duplicates included), and one for every article whose list,
page or facts it contains. It has `newest` if any newly published article may change it, and `many` in place
of its other keys if they do not fit into a header.

A new article changes the lists in which it is `similar`, which its fold-in contains, and the lists that are
not full of similar articles, which have `newest`. So a cache may store other lists for up to a week. A test
with random changes checks that such a cache always has the same items as new responses
(`tests/serving/cache/test_surrogates.py`). Only the number of eligible articles may be outdated.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import TypeGuard

import numpy as np

from recommender.neighbors import NO_ROW
from recommender.serving.http.responses import Dependencies
from recommender.serving.index.snapshot import Snapshot
from recommender.serving.lists.candidates import TOLERANCE
from recommender.serving.rules.schema import Block, Pin, Rule, Sensitive
from recommender.serving.worker.follower import WorkerState

EVERYTHING = "recommender"  # a key of every response
NEWEST = "newest"
MANY = "many"
MAX_BYTES = 1800  # of the keys in a response: proxies often allow 4 KiB for all headers together
MAX_KEYS_PER_CHANGE = 1000
MAX_CHANGED = 50  # articles; for more, the whole cache is purged instead of looking up their lists

_SHORT = re.compile(r"[A-Za-z0-9_.-]{1,16}")


def shown_key(article_id: str) -> str:
    """Return the key of the responses that contain an article."""
    return f"a-{_name(article_id)}"


def subject_key(article_id: str) -> str:
    """Return the key of the responses with the list, page, rank or facts of an article."""
    return f"of-{_name(article_id)}"


def keys_of(dependencies: Dependencies) -> tuple[str, ...]:
    """Return the surrogate keys of a response with these dependencies, `EVERYTHING` first, then in order."""
    keys = {
        *(shown_key(article_id) for article_id in dependencies.shown_ids),
        *(subject_key(article_id) for article_id in dependencies.subject_ids),
        *((NEWEST,) if dependencies.on_new_articles else ()),
    }
    fits = sum(map(len, keys)) + len(keys) <= MAX_BYTES
    return (EVERYTHING, *(sorted(keys) if fits else (MANY, NEWEST)))


def keys_between(before: WorkerState, after: WorkerState) -> frozenset[str]:
    """Return the keys of the responses that may differ after one state has replaced another."""
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
    is_all = EVERYTHING in keys or len(keys) > MAX_KEYS_PER_CHANGE
    return frozenset({EVERYTHING}) if is_all else frozenset(keys)


def _name(article_id: str) -> str:
    """Return a short id unchanged, and a digest of any other, which may contain any character."""
    if _SHORT.fullmatch(article_id):
        return article_id
    digest = blake2b(article_id.encode(errors="surrogatepass"), digest_size=9).digest()
    return f"~{urlsafe_b64encode(digest).decode()}"


def _changed(old: Snapshot, new: Snapshot) -> set[str]:
    """Return the ids of the articles that were put, folded in, withdrawn, or removed from the store."""
    row_of, old_row_of = new.articles.row_of, old.articles.row_of
    n = len(new.model.articles)
    put = {
        article_id
        for article_id, row in row_of.items()
        if (old_row := old_row_of.get(article_id)) is None
        or old.articles.live[old_row - n] is not new.articles.live[row - n]
        or old.folded[old_row - n] is not new.folded[row - n]
    }
    removed = {article_id for article_id in old_row_of if article_id not in row_of}
    return put | removed | {article_id for article_id, _ in old.withdrawn.items() ^ new.withdrawn.items()}


def _of_article(snapshot: Snapshot, article_id: str) -> Iterator[str]:
    """Yield the keys of an article and of the lists that contain it or may contain it."""
    yield shown_key(article_id)
    yield subject_key(article_id)
    row = snapshot.articles.find(article_id)
    if row is None or article_id in snapshot.withdrawn:
        return
    ids, n = snapshot.articles.ids, len(snapshot.model.articles)
    if row < n:  # the model's article is valid again; which lists it changes is unknown
        yield EVERYTHING
        return
    for copy in snapshot.copies.of(row):
        yield shown_key(ids[copy])
    for other in (
        *snapshot.folded[row - n].reverse_neighbors.tolist(),
        *_live_rows_changed_by(snapshot, row),
    ):
        yield subject_key(ids[other])


def _live_rows_changed_by(snapshot: Snapshot, row: int) -> list[int]:
    """Return the live rows in whose lists the live article of a row is similar, its own row included."""
    n, folded = len(snapshot.model.articles), snapshot.folded
    similarity = snapshot.vectors.scores(folded[row - n].expanded, snapshot.latent_weight)
    feedback = np.array([article.feedback if article.nearest != NO_ROW else 0.0 for article in folded])
    nearest = [max(article.nearest, 0) for article in folded]
    scores = (similarity[n:] + feedback * similarity[nearest]) / (1 + feedback) - folded[row - n].hub
    is_similar = scores > snapshot.manifest.similar_above - TOLERANCE
    rows: list[int] = (n + np.flatnonzero(is_similar)).tolist()
    return rows


def _of_rules(before: Iterable[Rule], after: Iterable[Rule]) -> set[str]:
    """Return the keys of what added and removed rules change, whether or not they are active yet."""
    keys: set[str] = set()
    old, new = set(before), set(after)
    for rule in old ^ new:
        if isinstance(rule, Pin | Block) and rule.for_article is not None:
            keys.add(subject_key(rule.for_article))
        elif rule in new and _hides(rule) and rule.articles is not None:
            keys |= {shown_key(article_id) for article_id in rule.articles}
        else:
            keys.add(EVERYTHING)
    return keys


def _hides(rule: Rule) -> TypeGuard[Block | Sensitive]:
    """Return whether a rule removes its articles from all lists; only responses that contain them change.

    The articles of a rule for a category or an author are not known here.
    """
    return isinstance(rule, Sensitive) or (isinstance(rule, Block) and rule.for_category is None)
