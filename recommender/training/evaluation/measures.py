"""Measure ranked lists against labels: standard measures per query, and confidence intervals by story."""

from collections.abc import Iterable, Iterator, Sequence

import ir_measures
import numpy as np
from ir_measures import RR, P, R, nDCG

from recommender.columns import Strings
from recommender.displayed import LIST_LENGTH
from recommender.neighbors import NO_ROW
from recommender.training.evaluation.labels import Judgements

# Names as in reports, definitions as in trec_eval. nDCG uses the grades as gains and log2(1 + rank) as
# discount; the reciprocal rank is that of the first relevant article in the list, 0 without one.
MEASURES = {
    "ndcg_at_9": nDCG @ LIST_LENGTH,
    "recall_at_9": R @ LIST_LENGTH,
    "precision_at_1": P @ 1,
    "mrr": RR,
}
RESAMPLES = 10_000
_BATCH = 4_000_000  # story weights drawn at a time: 32 MB


def measured(ranked: np.ndarray, judged: Judgements, titles: Strings) -> np.ndarray:
    """Return each measure for each query, (q, 4) float64, in the order of MEASURES.

    `ranked` is (q, depth) int32, the best row first, padded with NO_ROW. It must not contain the query
    itself.
    """
    qrels, run = {}, {}
    lists = judged_lists(ranked, judged, titles)
    for query, items in zip(judged.queries.tolist(), lists, strict=True):
        relevant, grades = judged.relevant(query)
        qrels[str(query)] = {str(row): int(grade) for row, grade in zip(relevant, grades, strict=True)}
        run[str(query)] = {str(row): float(-rank) for rank, row in enumerate(items)}
    column_of = {str(measure): column for column, measure in enumerate(MEASURES.values())}
    position_of = {str(query): position for position, query in enumerate(judged.queries.tolist())}
    values = np.zeros((len(judged.queries), len(MEASURES)))
    for metric in ir_measures.pytrec_eval.iter_calc(list(MEASURES.values()), qrels, run):
        values[position_of[metric.query_id], column_of[str(metric.measure)]] = metric.value
    return values


def judged_lists(ranked: np.ndarray, judged: Judgements, titles: Strings) -> Iterator[list[int]]:
    """Yield the rows of each query's list that are judged, at most nine.

    An unlabelled article with the same title as the query or as an article of its story is neither right nor
    wrong: it is dropped before the list is cut.
    """
    same_titles = _SameTitles(titles)
    for query, items in zip(judged.queries.tolist(), ranked, strict=True):
        relevant = judged.relevant(query)[0].tolist()
        ignored = same_titles.of([query, *relevant]) - set(relevant)
        yield [row for row in items.tolist() if row != NO_ROW and row not in ignored][:LIST_LENGTH]


def intervals(
    values: np.ndarray, stories: np.ndarray, seed: int, resamples: int = RESAMPLES
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean of each column of `values`, and the two ends of its 95 % interval, each (m,).

    `values` is (q, m), `stories` (q,) numbers from 0. Uses a percentile bootstrap (Efron and Tibshirani 1993,
    chapter 13) that draws whole stories, because articles of one story are not independent. The same seed
    draws the same stories. Pass the differences of two systems as `values` for a paired comparison.
    """
    sums, sizes = _by_story(values, stories)
    generator = np.random.default_rng(seed)
    count = len(sizes)
    probabilities = np.full(count, 1 / count)
    means = []
    step = max(1, _BATCH // count)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        weights = generator.multinomial(count, probabilities, size=size).astype(np.float64)
        means.append(weights @ sums / (weights @ sizes)[:, None])
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5], axis=0)
    return values.mean(axis=0), low, high


def _by_story(values: np.ndarray, stories: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sizes = np.bincount(stories).astype(np.float64)
    sums = np.zeros((len(sizes), values.shape[1]))
    np.add.at(sums, stories, values)
    return sums, sizes


class _SameTitles:
    """Rows by title, ignoring letter case and spacing."""

    def __init__(self, titles: Strings) -> None:
        self._titles = [_plain(title) for title in titles]
        self._rows_of: dict[str, list[int]] = {}
        for row, title in enumerate(self._titles):
            if title:
                self._rows_of.setdefault(title, []).append(row)

    def of(self, rows: Sequence[int]) -> set[int]:
        """Return the rows that have the same title as one of these rows."""
        groups: Iterable[list[int]] = (self._rows_of.get(self._titles[row], []) for row in rows)
        return {row for group in groups for row in group}


def _plain(title: str) -> str:
    return " ".join(title.casefold().split())
