"""The reference: scikit-learn's TF-IDF and brute-force neighbours."""

import sys

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import NearestNeighbors

from recommender.training.readers.corpus import read_articles

_BLOCK = 500


def main(corpus: str, k: int) -> None:
    """Find the k nearest neighbours of every article of the corpus."""
    texts = [f"{article.title}. {article.body}" for article in read_articles(corpus).articles]
    vectorizer = TfidfVectorizer(
        stop_words="english", sublinear_tf=True, min_df=2, max_df=0.5, dtype=np.float32
    )
    rows = vectorizer.fit_transform(texts)
    nearest = NearestNeighbors(n_neighbors=k + 1, metric="cosine", algorithm="brute", n_jobs=-1).fit(rows)
    for start in range(0, rows.shape[0], _BLOCK):
        nearest.kneighbors(rows[start : start + _BLOCK], return_distance=False)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
