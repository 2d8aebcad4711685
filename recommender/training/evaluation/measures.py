"""How good ranked lists are by labels: standard measures of each query, and intervals by story."""

from collections.abc import Iterable, Iterator, Sequence

import ir_measures
import numpy as np
from ir_measures import RR, P, R, nDCG

from recommender.columns import Strings
from recommender.neighbors import NO_ROW
from recommender.training.evaluation.labels import Judgements

LIST_LENGTH = 9  # the lists that readers see
# By name as reports have it. nDCG takes the grades as gains and log2(1 + rank) as discount; the reciprocal
# rank is that of the first right article within the list, 0 without one. All as trec_eval defines them.
MEASURES = {
    "ndcg_at_9": nDCG @ LIST_LENGTH,
    "recall_at_9": R @ LIST_LENGTH,
    "precision_at_1": P @ 1,
    "mrr": RR,
}
RESAMPLES = 10_000
_AT_ONCE = 4_000_000  # story weights drawn at a time: 32 MB


def measured(ranked: np.ndarray, judged: Judgements, titles: Strings) -> np.ndarray:
    """Return each measure for each query, (q, 4) float64, in the order of MEASURES.

    `ranked` is (q, depth) int32, the best row first, filled up with NO_ROW; the query itself must not stand
    in it.
    """
    qrels, run = {}, {}
    lists = judged_lists(ranked, judged, titles)
    for query, kept in zip(judged.queries.tolist(), lists, strict=True):
        right, grades = judged.right(query)
        qrels[str(query)] = {str(row): int(grade) for row, grade in zip(right, grades, strict=True)}
        run[str(query)] = {str(row): float(-place) for place, row in enumerate(kept)}
    column = {str(measure): at for at, measure in enumerate(MEASURES.values())}
    line_of = {str(query): at for at, query in enumerate(judged.queries.tolist())}
    values = np.zeros((len(judged.queries), len(MEASURES)))
    for found in ir_measures.pytrec_eval.iter_calc(list(MEASURES.values()), qrels, run):
        values[line_of[found.query_id], column[str(found.measure)]] = found.value
    return values


def judged_lists(ranked: np.ndarray, judged: Judgements, titles: Strings) -> Iterator[list[int]]:
    """Yield the rows of each query's list that are judged, at most nine.

    Articles with the title of the query or of one of its story are neither right nor wrong: unless the
    labels name them, they are dropped before the list is cut.
    """
    copies = _Copies(titles)
    for query, line in zip(judged.queries.tolist(), ranked, strict=True):
        right = judged.right(query)[0].tolist()
        ignored = copies.of([query, *right]) - set(right)
        yield [row for row in line.tolist() if row != NO_ROW and row not in ignored][:LIST_LENGTH]


def intervals(
    values: np.ndarray, stories: np.ndarray, seed: int, resamples: int = RESAMPLES
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean of each column of `values`, and the two ends of its 95 % interval, each (m,).

    `values` is (q, m), `stories` (q,) numbers from 0. Percentile bootstrap (Efron and Tibshirani 1993,
    chapter 13) that draws whole stories: articles of one story are not independent. The same seed draws the
    same stories. Differences of two systems, given as values, make it paired.
    """
    sums, sizes = _by_story(values, stories)
    draw = np.random.default_rng(seed)
    count = len(sizes)
    chances = np.full(count, 1 / count)
    means = []
    step = max(1, _AT_ONCE // count)
    for start in range(0, resamples, step):
        times = draw.multinomial(count, chances, size=min(step, resamples - start)).astype(np.float64)
        means.append(times @ sums / (times @ sizes)[:, None])
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5], axis=0)
    return values.mean(axis=0), low, high


def _by_story(values: np.ndarray, stories: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sizes = np.bincount(stories).astype(np.float64)
    sums = np.zeros((len(sizes), values.shape[1]))
    np.add.at(sums, stories, values)
    return sums, sizes


class _Copies:
    """Rows by title, letter case and spacing aside."""

    def __init__(self, titles: Strings) -> None:
        self._titles = [_plain(title) for title in titles]
        self._rows_of: dict[str, list[int]] = {}
        for row, title in enumerate(self._titles):
            if title:
                self._rows_of.setdefault(title, []).append(row)

    def of(self, rows: Sequence[int]) -> set[int]:
        """Return the rows that carry the title of one of these."""
        found: Iterable[list[int]] = (self._rows_of.get(self._titles[row], []) for row in rows)
        return {row for alike in found for row in alike}


def _plain(title: str) -> str:
    return " ".join(title.casefold().split())
