"""Surrogate keys: short names by which caches drop the responses that a change concerns.

A response has a key for every article in it (near-duplicates and pins included), and one for every article
whose list, page or facts it contains. It has `newest` if any newly published article may change it, `scored`
if articles were scored for it that are not among the neighbours computed at training, and `many` in place of
its other keys if they do not fit into a header.

A new article changes the lists in which it is `similar`, which its fold-in contains, and the lists that the
newest articles fill up, which have `newest`. If an article disappears or changes, its near-duplicates
may take its place: those of the model in the lists of which they are neighbours, and in the lists with
`scored`. So a cache may store other lists for up to a week. Tests with random changes check that such a
cache has the same items as new responses (`tests/serving/cache/test_surrogates.py`). Only the date of a list,
its number of eligible articles and the scores of undated articles may be outdated.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from operator import is_
from typing import TypeGuard

import numpy as np

from recommender.neighbors import NO_ROW
from recommender.serving.http.responses import Dependencies
from recommender.serving.index.similarity import SimilarityScorer
from recommender.serving.index.snapshot import Snapshot
from recommender.serving.lists.candidates import TOLERANCE
from recommender.serving.rules.schema import Block, Pin, Rule, Sensitive
from recommender.serving.worker.follower import WorkerState

EVERYTHING = "recommender"  # a key of every response
NEWEST = "newest"
SCORED = "scored"
MANY = "many"
MAX_BYTES = 1800  # of the keys in a response: proxies often allow 4 KiB for all headers together
MAX_KEYS_PER_CHANGE = 1000
MAX_CHANGED = 50  # articles; for more, the whole cache is purged instead of looking up their lists

_MANY_NEAREST = 300  # articles; scoring more of them one by one takes longer than scoring all

_SHORT = re.compile(r"[A-Za-z0-9_.-]{1,16}")


def shown_key(article_id: str) -> str:
    """Return the key of the responses that contain an article."""
    return f"a-{_name(article_id)}"


def subject_key(article_id: str) -> str:
    """Return the key of the responses with the list, page, rank or facts of an article."""
    return f"of-{_name(article_id)}"


@dataclass(frozen=True, slots=True)
class Content:
    """What responses are made from."""

    snapshot: Snapshot
    rules: tuple[Rule, ...]  # in the order in which they apply


def keys_of(dependencies: Dependencies) -> tuple[str, ...]:
    """Return the surrogate keys of a response with these dependencies, `EVERYTHING` first, then in order."""
    keys = {
        *dependencies.keys,
        *(shown_key(article_id) for article_id in dependencies.shown_ids),
        *(subject_key(article_id) for article_id in dependencies.subject_ids),
        *((NEWEST,) if dependencies.on_new_articles else ()),
        *((SCORED,) if dependencies.on_scores else ()),
    }
    return header_keys(keys)


def header_keys(keys: Iterable[str]) -> tuple[str, ...]:
    """Return the keys of a response in order, `EVERYTHING` first; fewer if they do not fit into a header."""
    keys = {*keys} - {EVERYTHING}
    fits = MANY not in keys and sum(map(len, keys)) + len(keys) <= MAX_BYTES
    return (EVERYTHING, *(sorted(keys) if fits else (MANY, NEWEST)))


def keys_between(before: WorkerState, after: WorkerState) -> frozenset[str]:
    """Return the keys of the responses that may differ after one state has replaced another."""
    old, new = before.snapshot, after.snapshot
    if old is None or new is None:
        return frozenset() if old is new else frozenset({EVERYTHING})
    return keys_of_change(Content(old, before.rules.rules), Content(new, after.rules.rules))


def keys_of_change(old: Content, new: Content, published_ids: Iterable[str] = ()) -> frozenset[str]:
    """Return the keys of the responses that may differ after other content has replaced the old one.

    `published_ids` are the articles that became public in the meantime, or are no longer.
    """
    if old.snapshot.model is not new.snapshot.model:
        return frozenset({EVERYTHING})
    changed = {*_changed(old.snapshot, new.snapshot), *published_ids}
    if len(changed) > MAX_CHANGED:
        return frozenset({EVERYTHING})
    keys = _of_articles(old.snapshot, new.snapshot, changed)
    if keys:
        keys.add(NEWEST)
    if old.rules != new.rules:
        keys |= _of_rules(old.rules, new.rules, new.snapshot)
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


def _is_extended(old: Snapshot, new: Snapshot) -> bool:
    """Return whether the new snapshot has all rows of the old one, followed by others."""
    live, new_live = old.articles.live, new.articles.live
    return (
        len(live) <= len(new_live) and all(map(is_, live, new_live)) and all(map(is_, old.folded, new.folded))
    )


def _changed(old: Snapshot, new: Snapshot) -> set[str]:
    """Return the ids of the articles that were put, folded in, withdrawn, or removed from the store."""
    changed = {article_id for article_id, _ in old.withdrawn.items() ^ new.withdrawn.items()}
    if _is_extended(old, new):
        return changed | {article.id for article in new.articles.live[len(old.articles.live) :]}
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
    return changed | put | removed


def _of_articles(old: Snapshot, new: Snapshot, changed: set[str]) -> set[str]:
    """Return the keys of changed articles and of the lists that contain them or may contain them."""
    joining = {*changed, *(copy for article_id in changed for copy in _copies(old, article_id))}
    if not _is_extended(old, new):
        joining |= _regrouped(old, new)
    now_copies = (copy for article_id in changed for copy in _copies(new, article_id))
    return {*map(shown_key, now_copies), *_of_joining(new, joining)}


def _of_joining(snapshot: Snapshot, article_ids: Iterable[str]) -> Iterator[str]:
    """Yield the keys of articles and of the lists in which they are similar."""
    trained: list[int] = []
    for article_id in article_ids:
        yield shown_key(article_id)
        yield subject_key(article_id)
        row = snapshot.articles.find(article_id)
        if row is None or article_id in snapshot.withdrawn:
            continue
        if row < len(snapshot.model.articles):
            trained.append(row)
        else:
            reverse = snapshot.folded[row - len(snapshot.model.articles)].reverse_neighbors.tolist()
            for other in (*reverse, *_live_rows_changed_by(snapshot, row)):
                yield subject_key(snapshot.articles.ids[other])
    if trained:
        yield SCORED
        for other in _rows_with_neighbors(snapshot, trained):
            yield subject_key(snapshot.articles.ids[other])


def _copies(snapshot: Snapshot, article_id: str) -> list[str]:
    """Return the ids of the near-duplicates of an article, shown or not."""
    row = snapshot.articles.find(article_id)
    return [] if row is None else [snapshot.articles.ids[copy] for copy in snapshot.copies.of(row)]


def _regrouped(old: Snapshot, new: Snapshot) -> set[str]:
    """Return the ids that have other near-duplicates in the new snapshot than in the old one."""
    before, after = _copies_of(old), _copies_of(new)
    ids = before.keys() | after.keys()
    return {article_id for article_id in ids if before.get(article_id) != after.get(article_id)}


def _copies_of(snapshot: Snapshot) -> dict[str, set[str]]:
    """Return the ids of each cluster of near-duplicates, by the ids of the articles in it."""
    clusters: dict[int, set[str]] = {}
    for row in snapshot.copies.grouped.tolist():
        clusters.setdefault(int(snapshot.copies.first[row]), set()).add(snapshot.articles.ids[row])
    copies_of: dict[str, set[str]] = {}
    for cluster in clusters.values():
        for article_id in cluster if len(cluster) > 1 else ():
            copies_of[article_id] = copies_of.get(article_id, set()) | cluster
    return copies_of


def _rows_with_neighbors(snapshot: Snapshot, trained: list[int]) -> list[int]:
    """Return the rows that have any of these rows of the model among their neighbours, as far as known."""
    n, neighbors = len(snapshot.model.articles), snapshot.model.neighbors.rows
    is_wanted = np.zeros(n + 1, dtype=bool)  # the last one is for NO_ROW
    is_wanted[trained] = True
    rows: list[int] = np.flatnonzero(is_wanted.take(neighbors).any(axis=1)).tolist()
    wanted = {*trained}
    return rows + [
        row
        for row, folded in enumerate(snapshot.folded, start=n)
        if not wanted.isdisjoint(folded.neighbors.tolist())
    ]


def _live_rows_changed_by(snapshot: Snapshot, row: int) -> list[int]:
    """Return the live rows in whose lists the live article of a row is similar, its own row included."""
    n, folded = len(snapshot.model.articles), snapshot.folded
    expanded, weight = folded[row - n].expanded, snapshot.latent_weight
    feedback = np.array([article.feedback if article.nearest != NO_ROW else 0.0 for article in folded])
    nearest, numbers = np.unique([max(article.nearest, 0) for article in folded], return_inverse=True)
    if len(nearest) > _MANY_NEAREST:
        to_nearest = snapshot.model.vectors.scores(expanded, weight)[nearest]
    else:
        to_nearest = SimilarityScorer(snapshot).of(expanded, nearest)
    similarity = snapshot.vectors.scores_of_live(expanded, weight)
    scores = (similarity + feedback * to_nearest[numbers]) / (1 + feedback) - folded[row - n].hub
    is_similar = scores > snapshot.manifest.similar_above - TOLERANCE
    rows: list[int] = (n + np.flatnonzero(is_similar)).tolist()
    return rows


def _of_rules(before: tuple[Rule, ...], after: tuple[Rule, ...], snapshot: Snapshot) -> set[str]:
    """Return the keys of what added and removed rules change, whether or not they are active yet."""
    keys, old, new = set[str](), set(before), set(after)
    if [rule for rule in before if rule in new] != [rule for rule in after if rule in old]:
        return {EVERYTHING}  # pins come in the order of their rules
    for rule in old ^ new:
        if isinstance(rule, Pin | Block) and rule.for_article is not None:
            keys.add(subject_key(rule.for_article))
        elif rule in new and _hides(rule) and rule.articles is not None:
            keys |= {shown_key(article_id) for article_id in rule.articles}
            # The near-duplicates of a hidden article may take its place.
            copies = {copy for article_id in rule.articles for copy in _copies(snapshot, article_id)}
            keys |= {*_of_joining(snapshot, copies)}
        else:
            keys.add(EVERYTHING)
    return keys


def _hides(rule: Rule) -> TypeGuard[Block | Sensitive]:
    """Return whether a rule removes its articles from all lists; only responses that contain them change.

    The articles of a rule for a category or an author are not known here.
    """
    return isinstance(rule, Sensitive) or (isinstance(rule, Block) and rule.for_category is None)
