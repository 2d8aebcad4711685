"""How healthy lists are without any labels: who is ever recommended, who always, how alike, how old."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.stats import skew

from recommender.model import NO_MOMENT, Articles, Model, Vectors
from recommender.neighbors import NO_ROW
from recommender.training.evaluation.measures import LIST_LENGTH
from recommender.training.kernels import spread
from recommender.training.neighbors.exact import pair_scores

NEAR_DUPLICATE = 0.9  # cosine of TF-IDF from which two texts are one, as the literature on wire copies has it
_PAIRED_LISTS = 10_000  # lists whose pairs are compared; of more, so many are drawn
_CHUNK = 2_000  # lists whose pairs are compared at a time
_DAY = 86_400_000_000  # microseconds
_OCCURRENCE_EDGES = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256)
_AGE_EDGES = (0, 1, 3, 7, 14, 30, 90, 180, 365, 730, 1825, 3650)


class Histogram(BaseModel):
    """How many values lie from each edge up to the next; in the last bin, from the last edge on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    edges: list[float]
    counts: list[int]  # as many as edges


class Health(BaseModel):
    """Measures of lists of nine that need no labels. None: nothing to measure it on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    coverage: float  # share of the articles that stand in at least one list, hidden copies aside
    never_recommended: int  # articles in no list, hidden copies aside
    hub_skew: float  # skewness of how many lists each article stands in (Radovanović et al. 2010)
    top_1_percent_places: float  # share of all places in lists that the hundredth most listed articles hold
    section_agreement: float | None  # mean share of a list in the article's own section
    near_duplicate_lists: float  # share of lists with an item that copies the article or another item
    near_duplicate_pairs: float  # share of pairs, of items and of article and item, that are copies
    intra_list_similarity: float | None  # mean cosine of TF-IDF between two items of a list
    median_age_gap_days: float | None  # between an article and its items
    lists_without_similar: int | None  # articles none of whose items is `similar`
    occurrences: Histogram  # articles by how many lists they stand in
    age_gaps_days: Histogram  # places in lists by the days between article and item


@dataclass(frozen=True)
class Shown:
    """The lists that readers see."""

    lists: np.ndarray  # (n, at most 9) int32, best first, filled up with NO_ROW
    scores: np.ndarray  # likewise, float32
    listable: np.ndarray  # (n,) bool; the others are copies for which another stands


def health(
    lists: np.ndarray,
    model: Model,
    threads: int,
    scores: np.ndarray | None = None,
    listable: np.ndarray | None = None,
) -> Health:
    """Measure the lists of all articles, (n, depth) int32, best first, filled up with NO_ROW, cut at nine.

    `scores`, (n, depth), are the model's own of these places; they tell which items are `similar`. Articles
    that are not `listable` are left out of coverage and hubs: another stands for them in lists. Pairs in
    lists are compared by TF-IDF alone, on at most 10,000 lists, drawn by the recipe's seed.
    """
    lists = lists[:, :LIST_LENGTH]
    listed = occurrences(lists) if listable is None else occurrences(lists)[listable]
    copies, copied_lists, alike = _pairs(lists, model, threads)
    gaps = _age_gaps(lists, model.articles)
    similar_above = model.manifest.similar_above
    without = None if scores is None else int(np.sum(~(scores[:, :1] > similar_above).any(axis=1)))
    places = np.sort(listed)[::-1]
    top = places[: max(1, round(len(places) / 100))].sum()
    return Health(
        coverage=float(np.mean(listed > 0)),
        never_recommended=int(np.sum(listed == 0)),
        hub_skew=float(skew(listed)) if listed.any() and np.ptp(listed) else 0.0,
        top_1_percent_places=float(top / max(places.sum(), 1)),
        section_agreement=section_agreement(lists, model.articles.category.codes),
        near_duplicate_lists=copied_lists,
        near_duplicate_pairs=copies,
        intra_list_similarity=alike,
        median_age_gap_days=float(np.median(gaps)) if len(gaps) else None,
        lists_without_similar=without,
        occurrences=_histogram(listed, _OCCURRENCE_EDGES),
        age_gaps_days=_histogram(gaps, _AGE_EDGES),
    )


def shown(model: Model) -> Shown:
    """Return the lists of nine that readers see without filters.

    Of the k neighbours these are the best that are no copies of the article; of the copies of another, the
    newest stands for all.
    """
    n, k = model.neighbors.rows.shape
    stands = _standing(model)
    lists = np.full((n, min(k, LIST_LENGTH)), NO_ROW, dtype=np.int32)
    scores = np.zeros(lists.shape, dtype=np.float32)
    for rows in _chunks(n):
        lists[rows], scores[rows] = _shown(model, rows, stands)
    return Shown(lists, scores, stands)


def shown_among(model: Model, rows: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Return the lists of nine of some rows, (m, at most 9) int32, where only part of the articles exist.

    `among` is (n,) bool. The lists are those of `shown`, the next neighbours in the places of the others.
    """
    return _shown(model, rows, _standing(model) & among)[0]


def _standing(model: Model) -> np.ndarray:
    """Return which articles may stand in lists, (n,) bool: the newest of all copies."""
    first = np.asarray(model.copies.first)
    newest = np.asarray(model.articles.newest)
    stands = np.zeros(len(first), dtype=bool)
    stands[newest[np.unique(first[newest], return_index=True)[1]]] = True
    return stands


def _shown(model: Model, rows: np.ndarray, stands: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first = np.asarray(model.copies.first)
    found = model.neighbors.rows[rows]
    hidden = (found == NO_ROW) | ~stands[found] | (first[found] == first[rows, None])
    best = np.argsort(hidden, axis=1, kind="stable")[:, :LIST_LENGTH]
    kept = ~np.take_along_axis(hidden, best, axis=1)
    lists = np.where(kept, np.take_along_axis(found, best, axis=1), NO_ROW)
    return lists, np.where(kept, np.take_along_axis(model.neighbors.scores[rows], best, axis=1), 0)


def occurrences(lists: np.ndarray) -> np.ndarray:
    """Return in how many of the lists of all articles each article stands, (n,) int64."""
    return np.bincount(lists[lists != NO_ROW], minlength=len(lists))


def section_agreement(lists: np.ndarray, categories: np.ndarray) -> float | None:
    """Return the mean share of a list that is of the article's own section; None without any section.

    `lists` is (n, k), `sections` (n,) int, negative for none. Articles without a section, or with an empty
    list, are left out; items without a section do not agree.
    """
    shares = agreement(lists, categories, categories)
    return None if np.isnan(shares).all() else float(np.nanmean(shares))


def agreement(lists: np.ndarray, own: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the share of each list that is of the list's own group, (m,) float64.

    `lists` is (m, k) of rows, `own` (m,) the group of each list, `groups` (n,) that of each row, negative for
    none. NaN for a list that is empty or has no group.
    """
    filled = lists != NO_ROW
    counted = (own >= 0) & filled.any(axis=1)
    agree = (groups[lists] == own[:, None]) & filled
    shares = agree.sum(axis=1) / np.maximum(filled.sum(axis=1), 1)
    return np.where(counted, shares, np.nan)


def _pairs(lists: np.ndarray, model: Model, threads: int) -> tuple[float, float, float | None]:
    """Return the shares of pairs and of lists that are copies, and the mean cosine within a list."""
    drawn = np.arange(len(lists))
    if len(drawn) > _PAIRED_LISTS:
        draw = np.random.default_rng(model.manifest.recipe.seed)
        drawn = np.sort(draw.choice(len(drawn), _PAIRED_LISTS, replace=False))
    terms_alone = replace(model.vectors, latent=model.vectors.latent[:, :0])
    copied = pairs = copied_lists = 0
    alike: list[np.ndarray] = []
    for rows in np.array_split(drawn, max(1, len(drawn) // _CHUNK)):
        cosines, with_article = _cosines(np.column_stack([rows, lists[rows]]), terms_alone, threads)
        exists = ~np.isnan(cosines)
        copy = exists & (np.nan_to_num(cosines) >= NEAR_DUPLICATE)
        copied, pairs = copied + int(copy.sum()), pairs + int(exists.sum())
        copied_lists += int(copy.any(axis=1).sum())
        inside = cosines[:, ~with_article]
        more = ~np.isnan(inside).all(axis=1) if inside.shape[1] else np.zeros(len(rows), dtype=bool)
        alike.append(np.nanmean(inside[more], axis=1))
    means = np.concatenate(alike)
    return copied / max(pairs, 1), copied_lists / len(drawn), float(means.mean()) if len(means) else None


def _cosines(groups: np.ndarray, vectors: Vectors, threads: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the cosine of every two of a group, NaN where one is missing; and which hold its first."""
    left, right = np.triu_indices(groups.shape[1], 1)
    a, b = groups[:, left].ravel(), groups[:, right].ravel()
    exists = np.flatnonzero((a != NO_ROW) & (b != NO_ROW))

    def stripe(start: int, end: int) -> np.ndarray:
        some = exists[start:end]
        return pair_scores(vectors, 0.0, a[some], b[some])

    cosines = np.full(len(a), np.nan)
    cosines[exists] = np.concatenate(list(spread(stripe, len(exists), threads))) if len(exists) else 0.0
    return cosines.reshape(len(groups), -1), left == 0


def _age_gaps(lists: np.ndarray, articles: Articles) -> np.ndarray:
    """Return the days between article and item for every place where both are dated, (m,) float64."""
    published = np.asarray(articles.published)
    gaps = [
        np.abs(published[rows, None] - published[lists[rows]])[
            (lists[rows] != NO_ROW)
            & (published[rows, None] != NO_MOMENT)
            & (published[lists[rows]] != NO_MOMENT)
        ]
        for rows in _chunks(len(lists))
    ]
    return np.concatenate(gaps) / _DAY


def _chunks(n: int) -> Iterator[np.ndarray]:
    return (np.arange(start, min(start + _CHUNK, n)) for start in range(0, n, _CHUNK))


def _histogram(values: np.ndarray, edges: tuple[int, ...]) -> Histogram:
    counts = np.histogram(values, [*edges, np.inf])[0]
    return Histogram(edges=[float(edge) for edge in edges], counts=counts.tolist())
