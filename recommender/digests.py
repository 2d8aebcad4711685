"""Digests: articles of a recurring format that summarize several subjects, such as a morning briefing.

A digest has words of many articles, so without a correction it would be in the lists of all of them. It is
recognized by two signs. Its title has words in common with at least four others, at the beginning, at the end
or before a colon or dash. And its nearest articles are not related to each other; the nearest articles of a
report, an obituary or a column are. Only whole series are judged, by three quarters of their members.

The penalty of a digest is the difference between its highest similarity and the mean similarity of its
nearest articles to each other: so it scores no more than they do.
"""

import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from recommender.text import words

LEAST_MEMBERS = 5  # of a series
NEAREST = 5  # articles that are compared with each other
_UNRELATED = 0.5  # the nearest articles of a digest are at most this similar to each other, relative to it
_MOST = 75  # percent of the members are so, because a few reports may be by chance
_KEY_WORDS = 2
_SEPARATOR = re.compile(r"\s*[:|\u2022\u00bb\uff1a]\s*|\s+[-\u2013\u2014]\s+")
_NUMBER = re.compile(r"\d+")


def title_keys(title: str) -> set[str]:
    """Return what the title of an article has in common with others of its series.

    These are its first and last two words, and its parts before the first and after the last colon, bar or
    dash. Numbers are equal.
    """
    parts = [words(_NUMBER.sub("00", part)) for part in _SEPARATOR.split(title)]
    whole = [word for part in parts for word in part]
    keys = [whole[:_KEY_WORDS], whole[-_KEY_WORDS:]] + ([parts[0], parts[-1]] if len(parts) > 1 else [])
    return {" ".join(key) for key in keys if key}


def series_of(titles: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the rows of each series, ascending, by the key of their titles."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, title in enumerate(titles):
        for key in title_keys(title):
            rows[key].append(row)
    return {key: np.array(rows[key]) for key in sorted(rows) if len(rows[key]) >= LEAST_MEMBERS}


def is_digest(to_nearest: np.ndarray, among_nearest: np.ndarray) -> bool:
    """Return whether the articles of a series are digests.

    `to_nearest` is the mean similarity of each to its nearest articles, (m,), `among_nearest` the mean
    similarity of these to each other.
    """
    return len(to_nearest) >= LEAST_MEMBERS and bool(
        np.percentile(among_nearest / np.maximum(to_nearest, 1e-9), _MOST) <= _UNRELATED
    )


def penalty(highest: np.ndarray | float, among_nearest: np.ndarray | float) -> np.ndarray:
    """Return the penalty of digests from their highest similarity and that of their nearest to each other."""
    return np.maximum(np.subtract(highest, among_nearest), 0.0)
