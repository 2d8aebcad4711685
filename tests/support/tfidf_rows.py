"""The TF-IDF rows of a trained model as a matrix."""

import numpy as np
from scipy.sparse import csr_array

from recommender.training.train import Trained


def rows_of(trained: Trained) -> tuple[csr_array, np.ndarray]:
    """Return the TF-IDF rows and the df of each term."""
    vectors = trained.model.vectors
    shape = (len(trained.model.articles), len(trained.model.vocabulary.terms))
    rows = csr_array((vectors.values, vectors.columns, vectors.offsets), shape=shape)
    return rows, np.diff(vectors.term_offsets)
