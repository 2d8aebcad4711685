"""The topics as directions in the latent space, and their shares in an article."""

from dataclasses import dataclass

import numpy as np

from recommender.embedding import unit

_SHARE_TEMPERATURE = 0.08  # an article exactly at a centroid has a share of about 0.9 of that topic


@dataclass(frozen=True)
class TopicSpace:
    """The centroids of the topics in the latent space."""

    centroids: np.ndarray  # (n_topics, n_components) float32, of unit length
    first: np.ndarray  # (n,) int32, the topic with the largest share of each article, -1 for none

    def shares(self, latent: np.ndarray) -> np.ndarray:
        """Return the share of each topic in an article, (n_topics,) float32; they add up to 1.

        They are a softmax of the cosines to the centroids, or all zero for an article without known terms.
        """
        if len(latent) > self.centroids.shape[1]:  # beside a given vector, the coordinates are shorter
            latent = unit(latent[: self.centroids.shape[1]])
        if not len(self.centroids) or not latent.any():
            return np.zeros(len(self.centroids), dtype=np.float32)
        cosines = (self.centroids @ latent).astype(np.float64)
        odds = np.exp((cosines - cosines.max()) / _SHARE_TEMPERATURE)
        return np.asarray(odds / odds.sum(), dtype=np.float32)
