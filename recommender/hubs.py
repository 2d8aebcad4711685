"""Hubs: articles that are near to many others, and would stand in every list."""

from dataclasses import dataclass

import numpy as np

_SAMPLE = 4096  # articles that tell a hub, or
_SAMPLE_SHARE = 8  # the n-th part of all, if that is more
_NEIGHBORS = 50  # nearest of all articles, whose mean likeness is how near an article is to others
_LEAST_NEIGHBORS = 10  # of them, found in the sample


@dataclass(frozen=True)
class HubSample:
    """The articles whose likeness tells how near an article is to others.

    Its nearness is its mean likeness to the 50 nearest, copies aside. Of over 4,096 articles a sample is
    looked at, of 4,096 or an eighth, and in it as many fewer, but ten. As in cross-domain similarity local
    scaling (Conneau et al. 2018).
    """

    rows: np.ndarray  # (size,) ascending
    count: int  # how many of them, the nearest, are counted

    @classmethod
    def of(cls, n: int, seed: int) -> "HubSample":
        """Return the sample of a corpus of n articles."""
        size = min(n, max(_SAMPLE, n // _SAMPLE_SHARE))
        rows = np.sort(np.random.default_rng(seed).choice(n, size, replace=False))
        return cls(rows, max(round(_NEIGHBORS * size / n), _LEAST_NEIGHBORS))

    def nearness(self, likeness: np.ndarray, below: float) -> float:
        """Return the nearness of an article of this likeness to every other, (n,); copies reach `below`."""
        near = likeness[self.rows]
        near = np.sort(near[near < below])[::-1][: self.count]
        return float(near.mean()) if len(near) else 0.0
