"""The latent space of a corpus: a truncated singular value decomposition of the TF-IDF rows (LSA).

The decomposition is a randomized subspace iteration (Halko, Martinsson and Tropp 2011). It starts from sums
of columns with random signs. A product with a dense random matrix would be as good, but much slower.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from sklearn.decomposition import TruncatedSVD
from threadpoolctl import threadpool_limits

from recommender.recipe import Topics
from recommender.training.kernels import run_all
from recommender.training.topics.sparse import largest, places_of, product, selected

_POWER_ITERATIONS = 2  # of the randomized decomposition; more did not change the quality of the lists
_MORE_COMPONENTS = 50  # computed than are returned, which makes the last ones more exact
_NEGLIGIBLE = 1e-10  # share of the largest eigenvalue; below it, rounding errors dominate
_BLOCK = 4096  # rows of a dense matrix that are multiplied together: the same for any number of threads


@dataclass(frozen=True)
class LatentSpace:
    """A truncated singular value decomposition of the TF-IDF rows."""

    terms: np.ndarray  # (n_latent_terms,) int32, ascending columns of the TF-IDF rows
    components: np.ndarray  # (n_latent_terms, n_components) float32
    estimator: TruncatedSVD | None  # None if the corpus is too small

    def project(self, rows: csr_array, threads: int) -> np.ndarray:
        """Project the rows into the latent space, (n, n_components) float32, of unit length or zero.

        Sums are in float32, so a component may differ by 2e-6 from the exact one.
        """
        latent = product(rows, self.components, threads, places_of(self.terms, rows.shape[1]))
        for start in range(0, len(latent), _BLOCK):
            part = latent[start : start + _BLOCK]
            lengths = np.sqrt(np.einsum("ij,ij->i", part, part, dtype=np.float64))
            part /= np.where(lengths > 0, lengths, 1)[:, None].astype(np.float32)
        return latent


def fit_latent_space(
    rows: csr_array, df: np.ndarray, count: int, recipe: Topics, seed: int, threads: int = 1
) -> LatentSpace:
    """Fit the latent space on the terms of highest df, and on a sample of the articles if there are many.

    It has `count` components, but fewer than there are terms. The last ones are zero if the articles have
    fewer dimensions. The result is the same for any number of threads.
    """
    n = rows.shape[0]
    frequent = largest(df, recipe.max_terms)
    count = min(count, len(frequent) - 1)
    if count < 1:
        return LatentSpace(np.zeros(0, np.int32), np.zeros((0, 0), np.float32), None)
    selection = np.arange(n)
    if n > recipe.max_fit_articles:
        drawn = np.random.default_rng(seed).choice(n, recipe.max_fit_articles, replace=False)
        selection = np.sort(drawn)
    svd = _decomposition(selected(rows, selection, frequent), count, seed, threads)
    return LatentSpace(frequent, np.ascontiguousarray(svd.components_.T), svd)


def known_space(terms: np.ndarray, components: np.ndarray) -> LatentSpace:
    """Return the latent space of a published model; its estimator projects, and lacks the singular values."""
    if not components.shape[1]:
        return LatentSpace(terms, components, None)
    svd = TruncatedSVD(components.shape[1], n_iter=_POWER_ITERATIONS)
    svd.n_features_in_, svd.components_ = len(terms), components.T
    return LatentSpace(terms, components, svd)


def _decomposition(matrix: csr_array, count: int, seed: int, threads: int) -> TruncatedSVD:
    """Return a fitted estimator with the first `count` singular vectors of the matrix."""
    n, transposed = matrix.shape[0], matrix.T.tocsr()
    with threadpool_limits(1):  # several BLAS threads add up in a different order
        basis = _orthonormal(_signed_sums(matrix, count + _MORE_COMPONENTS, seed), threads)
        for _ in range(_POWER_ITERATIONS):
            basis = _orthonormal(product(matrix, product(transposed, basis, threads), threads), threads)
        # The matrix is nearly basis @ coordinates.T, so the eigenvectors of a small matrix are enough.
        coordinates = product(transposed, basis, threads)
        squares, vectors = _eigenvectors(_gram(coordinates, threads), count)
        components = _times(coordinates, vectors * _inverse_roots(squares), threads)
        means = basis.mean(axis=0, dtype=np.float64) @ vectors
    svd = TruncatedSVD(count, n_iter=_POWER_ITERATIONS, random_state=seed)
    svd.n_features_in_, svd.components_ = matrix.shape[1], components.T
    svd.singular_values_ = np.sqrt(squares)
    svd.explained_variance_ = squares * (1 / n - means**2)
    svd.explained_variance_ratio_ = svd.explained_variance_ / max(_variance(matrix), np.finfo(float).tiny)
    return svd


def _signed_sums(matrix: csr_array, width: int, seed: int) -> np.ndarray:
    """Return sums of columns, each column with a random sign in one random sum, (n, width) float32."""
    generator, n_columns = np.random.default_rng(seed), matrix.shape[1]
    signs = generator.choice(np.array([-1, 1], dtype=np.float32), n_columns)
    sums = generator.integers(0, width, n_columns)
    drawn = csr_array((signs, sums, np.arange(n_columns + 1)), shape=(n_columns, width))
    return np.asarray((matrix @ drawn).toarray())


def _orthonormal(vectors: np.ndarray, threads: int) -> np.ndarray:
    """Return an orthonormal basis of the columns, (n, width) float32; zero columns if there are fewer."""
    squares, directions = _eigenvectors(_gram(vectors, threads), vectors.shape[1])
    return _times(vectors, directions * _inverse_roots(squares), threads)


def _eigenvectors(gram: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the `count` largest eigenvalues, largest first, and their eigenvectors as columns."""
    values, vectors = np.linalg.eigh(gram)
    return np.maximum(values[::-1][:count], 0), vectors[:, ::-1][:, :count]


def _inverse_roots(squares: np.ndarray) -> np.ndarray:
    """Return 1 / sqrt of each eigenvalue, but 0 for those that are only rounding errors."""
    exact = squares > _NEGLIGIBLE * squares.max()
    return np.asarray(exact / np.sqrt(np.where(exact, squares, 1)))


def _gram(vectors: np.ndarray, threads: int) -> np.ndarray:
    """Return the products of all pairs of columns, (width, width) float64."""

    def part(start: int) -> np.ndarray:
        block = vectors[start : start + _BLOCK].astype(np.float64)
        return np.asarray(block.T @ block)

    return np.asarray(sum(run_all([(part, start) for start in range(0, len(vectors), _BLOCK)], threads)))


def _times(vectors: np.ndarray, matrix: np.ndarray, threads: int) -> np.ndarray:
    """Return `vectors @ matrix` as float32."""
    result = np.empty((len(vectors), matrix.shape[1]), dtype=np.float32)
    factors = matrix.astype(np.float32)

    def part(start: int) -> None:
        np.matmul(vectors[start : start + _BLOCK], factors, out=result[start : start + _BLOCK])

    list(run_all([(part, start) for start in range(0, len(vectors), _BLOCK)], threads))
    return result


def _variance(matrix: csr_array) -> float:
    """Return the sum of the variances of the columns."""
    n = matrix.shape[0]
    means = np.bincount(matrix.indices, matrix.data, minlength=matrix.shape[1]) / n
    return float(np.square(matrix.data, dtype=np.float64).sum() / n - (means**2).sum())
