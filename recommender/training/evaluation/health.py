"""Measure lists without labels: coverage, hubness, category agreement, near-duplicates, similarity, age."""

import numpy as np
from pydantic import AliasChoices, Field

from recommender.displayed import LIST_LENGTH, chunks, occurrences
from recommender.frozen_model import FrozenModel
from recommender.model import NO_MOMENT, Articles, Model, Vectors
from recommender.neighbors import NO_ROW
from recommender.training.evaluation.scoring import group_cosines
from recommender.training.kernels import run_ranges

NEAR_DUPLICATE = 0.9  # TF-IDF cosine from which two texts are near-duplicates, as in papers on wire copy
_PAIRED_LISTS = 10_000  # lists whose pairs are compared; with more lists, a sample of this size
_CHUNK = 2_000  # lists whose pairs are compared at a time
_DAY = 86_400_000_000  # microseconds
_OCCURRENCE_EDGES = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256)
_AGE_EDGES = (0, 1, 3, 7, 14, 30, 90, 180, 365, 730, 1825, 3650)


class Histogram(FrozenModel):
    """Counts of values per bin, from each edge up to the next; the last bin has no upper edge."""

    edges: list[float]
    counts: list[int]  # as many as edges


class Health(FrozenModel):
    """Measures of lists of nine that need no labels. None: there was nothing to measure."""

    coverage: float  # share of the articles in at least one list, without hidden near-duplicates
    never_recommended: int  # articles in no list, without hidden near-duplicates
    hub_skew: float  # skewness of the number of lists that contain an article (Radovanović et al. 2010)
    top_1_percent_places: float  # share of all list positions that go to the 1 % most listed articles
    category_agreement: float | None = Field(  # mean share of a list in the article's own category
        validation_alias=AliasChoices(
            "category_agreement", "section_agreement"
        )  # the second: in older reports
    )
    near_duplicate_lists: float  # share of lists with a near-duplicate of the article or of another item
    near_duplicate_pairs: float  # share of near-duplicates among pairs of items, and of article and item
    intra_list_similarity: float | None  # mean TF-IDF cosine between two items of a list
    median_age_gap_days: float | None  # between an article and its items
    lists_without_similar: int | None  # articles without a `similar` item
    occurrences: Histogram  # articles by the number of lists that contain them
    age_gaps_days: Histogram  # list positions by the days between article and item


def health(
    lists: np.ndarray,
    model: Model,
    threads: int,
    scores: np.ndarray | None = None,
    listable: np.ndarray | None = None,
) -> Health:
    """Measure the lists of all articles, (n, depth) int32, best first, padded with NO_ROW, cut at nine.

    `scores`, (n, depth), are the model's scores of these items; they decide which items are `similar`.
    Articles that are not `listable` are left out of coverage and hubness, because another article of their
    cluster replaces them in lists. Pairs in lists are compared by TF-IDF alone, on at most 10,000 lists,
    sampled with the recipe's seed.
    """
    lists = lists[:, :LIST_LENGTH]
    listed = occurrences(lists) if listable is None else occurrences(lists)[listable]
    duplicate_pairs, duplicate_lists, similarity = _pairs(lists, model, threads)
    gaps = _age_gaps(lists, model.articles)
    similar_above = model.manifest.similar_above
    without_similar = None if scores is None else int(np.sum(~(scores[:, :1] > similar_above).any(axis=1)))
    descending = np.sort(listed)[::-1]
    top = descending[: max(1, round(len(descending) / 100))].sum()
    return Health(
        coverage=float(np.mean(listed > 0)),
        never_recommended=int(np.sum(listed == 0)),
        hub_skew=_skewness(listed),
        top_1_percent_places=float(top / max(descending.sum(), 1)),
        category_agreement=category_agreement(lists, model.articles.category.codes),
        near_duplicate_lists=duplicate_lists,
        near_duplicate_pairs=duplicate_pairs,
        intra_list_similarity=similarity,
        median_age_gap_days=float(np.median(gaps)) if len(gaps) else None,
        lists_without_similar=without_similar,
        occurrences=_histogram(listed, _OCCURRENCE_EDGES),
        age_gaps_days=_histogram(gaps, _AGE_EDGES),
    )


def category_agreement(lists: np.ndarray, categories: np.ndarray) -> float | None:
    """Return the mean share of a list that is in the article's own category; None without any category.

    `lists` is (n, k), `categories` (n,) int, negative for none. Articles without a category or with an empty
    list are left out. Items without a category count as disagreement.
    """
    shares = agreement(lists, categories, categories)
    return None if np.isnan(shares).all() else float(np.nanmean(shares))


def agreement(lists: np.ndarray, own: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the share of each list that is in the list's own group, (m,) float64.

    `lists` is (m, k) of rows, `own` (m,) the group of each list, `groups` (n,) the group of each row,
    negative for none. NaN for a list that is empty or has no group.
    """
    filled = lists != NO_ROW
    counted = (own >= 0) & filled.any(axis=1)
    agree = (groups[lists] == own[:, None]) & filled
    shares = agree.sum(axis=1) / np.maximum(filled.sum(axis=1), 1)
    return np.where(counted, shares, np.nan)


def _pairs(lists: np.ndarray, model: Model, threads: int) -> tuple[float, float, float | None]:
    """Return the share of near-duplicate pairs, of lists with such pairs, and the mean cosine in a list."""
    sample = np.arange(len(lists))
    if len(sample) > _PAIRED_LISTS:
        generator = np.random.default_rng(model.manifest.recipe.seed)
        sample = np.sort(generator.choice(len(sample), _PAIRED_LISTS, replace=False))
    duplicates = pairs = duplicate_lists = 0
    similarities: list[np.ndarray] = []
    for rows in np.array_split(sample, max(1, len(sample) // _CHUNK)):
        cosines, with_article = _cosines(np.column_stack([rows, lists[rows]]), model.vectors, threads)
        exists = ~np.isnan(cosines)
        duplicate = exists & (np.nan_to_num(cosines) >= NEAR_DUPLICATE)
        duplicates, pairs = duplicates + int(duplicate.sum()), pairs + int(exists.sum())
        duplicate_lists += int(duplicate.any(axis=1).sum())
        between_items = cosines[:, ~with_article]
        has_pair = np.zeros(len(rows), dtype=bool)
        if between_items.shape[1]:
            has_pair = ~np.isnan(between_items).all(axis=1)
        similarities.append(np.nanmean(between_items[has_pair], axis=1))
    means = np.concatenate(similarities)
    mean = float(means.mean()) if len(means) else None
    return duplicates / max(pairs, 1), duplicate_lists / len(sample), mean


def _cosines(groups: np.ndarray, vectors: Vectors, threads: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the cosine of every pair in each group, NaN for missing rows; and which pairs have its first."""
    left, _ = np.triu_indices(groups.shape[1], 1)

    def stripe(start: int, end: int) -> np.ndarray:
        return group_cosines(vectors, groups[start:end])

    return np.concatenate(list(run_ranges(stripe, len(groups), threads))), left == 0


def _skewness(values: np.ndarray) -> float:
    """Return the skewness of a population, 0 if all values are equal."""
    deviations = values - values.mean() if len(values) else values
    variance = float(np.mean(deviations**2)) if len(values) else 0.0
    return float(np.mean(deviations**3)) / variance**1.5 if variance else 0.0


def _age_gaps(lists: np.ndarray, articles: Articles) -> np.ndarray:
    """Return the days between article and item for every list position with two dates, (m,) float64."""
    published = np.asarray(articles.published)
    gaps = [
        np.abs(published[rows, None] - published[lists[rows]])[
            (lists[rows] != NO_ROW)
            & (published[rows, None] != NO_MOMENT)
            & (published[lists[rows]] != NO_MOMENT)
        ]
        for rows in chunks(len(lists))
    ]
    return np.concatenate(gaps) / _DAY


def _histogram(values: np.ndarray, edges: tuple[int, ...]) -> Histogram:
    counts = np.histogram(values, [*edges, np.inf])[0]
    return Histogram(edges=[float(edge) for edge in edges], counts=counts.tolist())
