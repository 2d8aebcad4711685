"""Hubness: articles that are similar to many others would appear in too many lists."""

from dataclasses import dataclass

import numpy as np

_SAMPLE = 4096  # articles in the sample, or
_SAMPLE_SHARE = 8  # n / 8 if that is more,
_LARGEST_SAMPLE = 8192  # but at most this many
_NEIGHBORS = 50  # k: hubness is the mean similarity to the k nearest of all articles
_LEAST_NEIGHBORS = 10  # the least k in a sample


@dataclass(frozen=True)
class HubSample:
    """The sample of articles from which hubness is estimated.

    The hubness of an article is its mean similarity to its k = 50 nearest neighbours, without
    near-duplicates, as in cross-domain similarity local scaling (Conneau et al. 2018). Above 4,096 articles,
    a sample of n / 8 articles is used, but 4,096 to 8,192, and k shrinks with it (at least 10).
    """

    rows: np.ndarray  # (size,) ascending
    count: int  # k, the number of nearest neighbours in the sample

    @classmethod
    def of(cls, n: int, seed: int) -> "HubSample":
        """Return the sample for a corpus of n articles."""
        size = min(n, max(_SAMPLE, min(n // _SAMPLE_SHARE, _LARGEST_SAMPLE)))
        rows = np.sort(np.random.default_rng(seed).choice(n, size, replace=False))
        return cls(rows, max(round(_NEIGHBORS * size / n), _LEAST_NEIGHBORS))

    def hubness(self, similarity: np.ndarray, below: float) -> float:
        """Return the hubness of an article from its similarity to all articles, (n,).

        Similarities from `below` on are those of near-duplicates and are left out.
        """
        nearest = similarity[self.rows]
        nearest = np.sort(nearest[nearest < below])[::-1][: self.count]
        return float(nearest.mean()) if len(nearest) else 0.0
