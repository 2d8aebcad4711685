"""The sample newsroom with vectors for two of three articles, as if a model of meaning had computed them."""

from collections.abc import Sequence
from dataclasses import replace
from zlib import crc32

import numpy as np

from recommender.article import Article

LENGTH = 12


def vector_of(text: str) -> list[float]:
    """Return the sum of a random vector for each word."""
    draws = (np.random.default_rng(crc32(word.encode())) for word in text.lower().split())
    return np.sum([draw.normal(size=LENGTH) for draw in draws], axis=0).tolist()  # type: ignore[no-any-return]


def with_vectors(articles: Sequence[Article]) -> list[Article]:
    """Return the articles, two of three with a vector."""
    return [
        replace(article, vector=vector_of(f"{article.title} {article.body[:300]}")) if row % 3 else article
        for row, article in enumerate(articles)
    ]
