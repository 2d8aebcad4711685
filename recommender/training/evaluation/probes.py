"""Checks on a sample of a model's articles: findable by headline, and embedded as the service does."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, islice

import numpy as np

from recommender.displayed import LIST_LENGTH
from recommender.model import Model
from recommender.neighbors import NO_ROW, top_k
from recommender.text import words
from recommender.training.evaluation.scoring import scores_of_all
from recommender.training.kernels import run_all

HEADLINES = 200  # headlines tested; each test scores the whole corpus
_BATCH = 8  # headlines that are scored together
_MIN_KNOWN_WORDS = 3  # in a headline that is tested
_TOLERANCE = 1e-3  # per coordinate; more than single-precision error


def hash_sample(ids: Iterable[str], size: int) -> list[int]:
    """Return the positions of at most `size` ids, sampled by a hash of the id: later samples agree."""
    digests = [hashlib.blake2b(article_id.encode(), digest_size=8).digest() for article_id in ids]
    keys = np.frombuffer(b"".join(digests), dtype="<u8")
    positions: list[int] = np.argsort(keys, kind="stable")[:size].tolist()
    return positions


def headlines_found(
    model: Model, rows: Iterable[int], most: int = HEADLINES, threads: int = 1
) -> list[bool | None]:
    """Return for each row whether a text query of the headline alone ranks its article in the top nine.

    A near-duplicate of the article counts. None for an ambiguous headline (several articles have it, or the
    vocabulary contains fewer than three of its words), and after `most` headlines have been tested.
    """
    titles = [_plain(title) for title in model.articles.titles]
    count_of = Counter(titles)
    rows = list(rows)
    testable = (row for row in rows if count_of[titles[row]] == 1 and _has_known_words(model, titles[row]))
    tested = list(dict.fromkeys(islice(testable, most)))
    batches = [tested[start : start + _BATCH] for start in range(0, len(tested), _BATCH)]
    found = chain.from_iterable(run_all([(_headlines_find, model, batch) for batch in batches], threads))
    found_of = dict(zip(tested, found, strict=True))
    return [found_of.get(row) for row in rows]


def topic_fit(model: Model, rows: np.ndarray, lists: np.ndarray) -> np.ndarray:
    """Return how much more often lists contain the terms of the article's first topic than the corpus, (m,).

    That is the share of items that contain one of the terms, minus the share of all articles; NaN for an
    article without a topic or with an empty list. `lists` is (m, k) of rows, padded with NO_ROW.
    """
    fit = np.full(len(rows), np.nan)
    first = np.asarray(model.topic_space.first)[rows]
    filled = lists != NO_ROW
    for number, topic in enumerate(model.manifest.topics):
        own = np.flatnonzero((first == number) & filled.any(axis=1))
        if len(own):
            matches = _containing_any(model, topic.terms)
            shares = (matches[lists[own]] & filled[own]).sum(axis=1) / filled[own].sum(axis=1)
            fit[own] = shares - matches.mean()
    return fit


def misplaced(model: Model, rows: Iterable[int]) -> list[int]:
    """Return the rows whose vectors or first topic differ from what the service computes from the text."""
    return [row for row in rows if not _in_place(model, row)]


def _has_known_words(model: Model, title: str) -> bool:
    terms = model.vocabulary.terms
    return sum(terms.find(word) is not None for word in set(words(title))) >= _MIN_KNOWN_WORDS


def _headlines_find(model: Model, rows: Sequence[int]) -> list[bool]:
    """Return for each row whether its headline ranks it, or a copy of it, among the first nine.

    Its vector would find it, too, so the query has none.
    """
    score = partial(scores_of_all, model.vectors, weight=model.latent_weight)
    headlines = [replace(model.articles.article(row), body="", vector=None) for row in rows]
    own = score([model.embed(headline) for headline in headlines])
    queries = [model.query(headline, known=scores) for headline, scores in zip(headlines, own, strict=True)]
    moved = score([query.moved for query in queries])
    return [_is_found(model, row, similarity) for row, similarity in zip(rows, moved, strict=True)]


def _is_found(model: Model, row: int, similarity: np.ndarray) -> bool:
    scores, first = model.corrections.scores(similarity), model.copies.first
    best = top_k(scores, LIST_LENGTH)
    return bool((first[best[scores[best] > 0]] == first[row]).any())


def _containing_any(model: Model, terms: Iterable[str]) -> np.ndarray:
    """Return which articles contain at least one of the terms, (n,) bool."""
    matches = np.zeros(len(model.articles), dtype=bool)
    for term in terms:
        matches |= _containing(model, words(term))
    return matches


def _containing(model: Model, parts: list[str]) -> np.ndarray:
    """Return which articles contain a term, (n,) bool.

    A term that is not in the vocabulary is matched by all of its words that are.
    """
    find = model.vocabulary.terms.find
    whole = find(" ".join(parts))
    columns = [find(part) for part in parts] if whole is None else [whole]
    known = [column for column in columns if column is not None]
    matches = np.full(len(model.articles), bool(known))
    for column in known:
        with_column = np.zeros(len(matches), dtype=bool)
        with_column[_rows_of(model, column)] = True
        matches &= with_column
    return matches


def _rows_of(model: Model, column: int) -> np.ndarray:
    offsets = model.vectors.term_offsets
    return np.asarray(model.vectors.term_rows[offsets[column] : offsets[column + 1]])


def _in_place(model: Model, row: int) -> bool:
    embedded, stored = model.embed(model.articles.article(row)), model.vectors.of(row)
    if not np.array_equal(embedded.columns, stored.columns):
        return False
    errors = [np.abs(embedded.values - stored.values), np.abs(embedded.latent - stored.latent)]
    shares, first = model.topic_space.shares(stored.latent), model.topic_space.first[row]
    nearest = first >= 0 if shares.any() else first < 0
    if nearest and first >= 0:
        nearest = shares[first] >= shares.max() - _TOLERANCE
    largest = max((float(error.max()) for error in errors if len(error)), default=0.0)
    return bool(nearest) and largest < _TOLERANCE


def _plain(title: str) -> str:
    return " ".join(title.casefold().split())
