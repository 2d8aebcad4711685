"""Probes of a model on a draw of its articles: whether all is where the service would look for it."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from recommender.model import Model
from recommender.neighbors import NO_ROW, top_k
from recommender.text import words
from recommender.training.evaluation.measures import LIST_LENGTH

HEADLINES = 200  # asked for; each costs a look at the whole corpus
_LEAST_WORDS = 3  # known ones, for a headline that can be looked for
_OFF = 1e-3  # more than single precision can err in a coordinate


def drawn(ids: Iterable[str], most: int) -> list[int]:
    """Return the places of at most so many ids, drawn by a hash of the id: a later draw chooses the same."""
    digests = [hashlib.blake2b(one.encode(), digest_size=8).digest() for one in ids]
    keys = np.frombuffer(b"".join(digests), dtype="<u8")
    places: list[int] = np.argsort(keys, kind="stable")[:most].tolist()
    return places


def headlines_found(model: Model, rows: Iterable[int], most: int = HEADLINES) -> list[bool | None]:
    """Return for each row whether the headline alone, asked for as a text, finds its article among nine.

    A copy of the article will do. None for a headline that could be another's, since several articles have
    it or the model knows fewer than three of its words; and once `most` have been asked for.
    """
    titles = [_plain(title) for title in model.articles.titles]
    times = Counter(titles)
    found: list[bool | None] = []
    for row in rows:
        asked = len(found) - found.count(None)
        fit = asked < most and times[titles[row]] == 1 and _telling(model, titles[row])
        found.append(_finds(model, row) if fit else None)
    return found


def topic_fit(model: Model, rows: np.ndarray, lists: np.ndarray) -> np.ndarray:
    """Return how much oftener the terms of its first topic stand in an article's list than elsewhere, (m,).

    That is the share of the list whose text holds one of them, less the share of all articles; NaN for an
    article without topic or list. `lists` is (m, k) of rows, filled up with NO_ROW.
    """
    fit = np.full(len(rows), np.nan)
    first = np.asarray(model.topic_space.first)[rows]
    filled = lists != NO_ROW
    for topic, facts in enumerate(model.manifest.topics):
        own = np.flatnonzero((first == topic) & filled.any(axis=1))
        if len(own):
            holds = _holding(model, facts.terms)
            shares = (holds[lists[own]] & filled[own]).sum(axis=1) / filled[own].sum(axis=1)
            fit[own] = shares - holds.mean()
    return fit


def misplaced(model: Model, rows: Iterable[int]) -> list[int]:
    """Return the rows whose vectors or first topic are not what the service makes of the article's text."""
    return [row for row in rows if not _in_place(model, row)]


def _telling(model: Model, title: str) -> bool:
    terms = model.vocabulary.terms
    return sum(terms.find(word) is not None for word in set(words(title))) >= _LEAST_WORDS


def _finds(model: Model, row: int) -> bool:
    scores = model.scores(model.query(replace(model.articles.article(row), body="")))
    best = top_k(scores, LIST_LENGTH)
    first = model.copies.first
    return bool((first[best[scores[best] > 0]] == first[row]).any())


def _holding(model: Model, terms: Iterable[str]) -> np.ndarray:
    """Return which articles hold at least one of the terms, (n,) bool."""
    holds = np.zeros(len(model.articles), dtype=bool)
    for term in terms:
        holds |= _standing(model, words(term))
    return holds


def _standing(model: Model, parts: list[str]) -> np.ndarray:
    """Return in which articles a term stands, (n,) bool: as a whole, else all of its words that are known."""
    find = model.vocabulary.terms.find
    whole = find(" ".join(parts))
    columns = [find(part) for part in parts] if whole is None else [whole]
    known = [column for column in columns if column is not None]
    stands = np.full(len(model.articles), bool(known))
    for column in known:
        inside = np.zeros(len(stands), dtype=bool)
        inside[_rows_of(model, column)] = True
        stands &= inside
    return stands


def _rows_of(model: Model, column: int) -> np.ndarray:
    offsets = model.vectors.term_offsets
    return np.asarray(model.vectors.term_rows[offsets[column] : offsets[column + 1]])


def _in_place(model: Model, row: int) -> bool:
    made, kept = model.embed(model.articles.article(row)), model.vectors.of(row)
    if not np.array_equal(made.columns, kept.columns):
        return False
    off = [np.abs(made.values - kept.values), np.abs(made.latent - kept.latent)]
    shares, first = model.topic_space.shares(kept.latent), model.topic_space.first[row]
    nearest = first >= 0 if shares.any() else first < 0
    if nearest and first >= 0:
        nearest = shares[first] >= shares.max() - _OFF
    return bool(nearest) and max((float(each.max()) for each in off if len(each)), default=0.0) < _OFF


def _plain(title: str) -> str:
    return " ".join(title.casefold().split())
