"""The lists of nine that readers see without filters, and how often each article is in them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from recommender.model import Model
from recommender.neighbors import NO_ROW

LIST_LENGTH = 9
CROWDING = 3  # times the mean number of lists per article; an article in more lists is a crowder
_CHUNK = 2_000  # lists at a time


@dataclass(frozen=True)
class DisplayedLists:
    """The lists that readers see."""

    lists: np.ndarray  # (n, at most 9) int32, best first, padded with NO_ROW
    scores: np.ndarray  # likewise, float32
    listable: np.ndarray  # (n,) bool; False for near-duplicates that another article replaces


def displayed_lists(model: Model) -> DisplayedLists:
    """Return the lists of nine that readers see without filters.

    They are the best of the k neighbours, without near-duplicates of the article. Of several near-duplicates
    of another article, only the newest is listed.
    """
    n, k = model.neighbors.rows.shape
    listable = _listable(model)
    lists = np.full((n, min(k, LIST_LENGTH)), NO_ROW, dtype=np.int32)
    scores = np.zeros(lists.shape, dtype=np.float32)
    for rows in chunks(n):
        lists[rows], scores[rows] = _displayed(model, rows, listable)
    return DisplayedLists(lists, scores, listable)


def displayed_lists_among(model: Model, rows: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Return the lists of nine of some rows, (m, at most 9) int32, restricted to some of the articles.

    `among` is (n,) bool. The lists are those of `displayed_lists`; the next neighbours replace excluded
    articles.
    """
    listable = _listable(model) & among
    parts = np.array_split(rows, max(1, len(rows) // _CHUNK))
    return np.concatenate([_displayed(model, part, listable)[0] for part in parts])


def _listable(model: Model) -> np.ndarray:
    """Return which articles lists may contain, (n,) bool: the newest of each near-duplicate cluster."""
    first = np.asarray(model.copies.first)
    newest = np.asarray(model.articles.newest)
    listable = np.zeros(len(first), dtype=bool)
    listable[newest[np.unique(first[newest], return_index=True)[1]]] = True
    return listable


def _displayed(model: Model, rows: np.ndarray, listable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first = np.asarray(model.copies.first)
    neighbors = model.neighbors.rows[rows]
    hidden = (neighbors == NO_ROW) | ~listable[neighbors] | (first[neighbors] == first[rows, None])
    best = np.argsort(hidden, axis=1, kind="stable")[:, :LIST_LENGTH]
    visible = ~np.take_along_axis(hidden, best, axis=1)
    lists = np.where(visible, np.take_along_axis(neighbors, best, axis=1), NO_ROW)
    return lists, np.where(visible, np.take_along_axis(model.neighbors.scores[rows], best, axis=1), 0)


def occurrences(lists: np.ndarray) -> np.ndarray:
    """Return the number of lists that contain each article, (n,) int64."""
    return np.bincount(lists[lists != NO_ROW], minlength=len(lists))


def crowders(listed: np.ndarray) -> np.ndarray:
    """Return which articles are in too many lists, (n,) bool; `listed` is the result of `occurrences`."""
    crowding: np.ndarray = listed > CROWDING * (listed.mean() if len(listed) else 0)
    return crowding


def chunks(n: int) -> Iterator[np.ndarray]:
    """Yield the rows of n articles, some at a time, ascending."""
    return (np.arange(start, min(start + _CHUNK, n)) for start in range(0, n, _CHUNK))
