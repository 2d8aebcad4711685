"""Statistics of terms by language: each language of a corpus gets the terms and weights that it has alone.

In a corpus of ten languages, a function word of one language is in few of all articles, and so looks like a
rare word. Its document frequency among the articles of that language shows what it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from recommender.article import Article
from recommender.columns import Strings
from recommender.training.terms.counting import TermCounts, language_codes

_ENOUGH = 20  # articles; a language with fewer gets no separate statistics


def language_sizes(articles: Sequence[Article], main_lang: str) -> np.ndarray:
    """Return the number of articles in each language, (m,); an unknown language counts as `main_lang`."""
    codes, _ = language_codes(articles, main_lang)
    return np.bincount(codes)


def effective_size(sizes: np.ndarray) -> int:
    """Return the mean, over all articles, of the number of articles in the same language."""
    return round(float((sizes.astype(np.float64) ** 2).sum() / sizes.sum()))


def without_function_words(
    counts: TermCounts, articles: Sequence[Article], main_lang: str, max_df: float
) -> TermCounts:
    """Return the counts without the terms that are in more than the share `max_df` of their language.

    The language of a term is the one with more than half of its articles, if it has enough articles.
    """
    dropped = np.zeros(len(counts.terms), dtype=bool)
    for size, df in _frequencies(counts, articles, main_lang):
        dropped |= (df > max(max_df * size, _ENOUGH)) & (2 * df > counts.df)
    if not dropped.any():
        return counts
    used = ~dropped
    column_of = np.cumsum(used) - 1
    entries = used[counts.columns]
    before = np.concatenate([[0], np.cumsum(entries)])
    return replace(
        counts,
        terms=_chosen(counts.terms, used),
        df=counts.df[used],
        offsets=before[counts.offsets],
        columns=column_of[counts.columns[entries]].astype(np.int32),
        counts=counts.counts[entries],
        kinds=counts.kinds[used],
    )


def inverse_document_frequency(counts: TermCounts, articles: Sequence[Article], main_lang: str) -> np.ndarray:
    """Return the inverse document frequency of each term, (n_terms,) float64, smoothed as in scikit-learn.

    It is the mean of those in the languages of the articles with the term. A language with fewer than 20
    articles has that of the whole corpus.
    """
    n = len(articles)
    whole = 1 + np.log((1 + n) / (1 + counts.df))
    rest, total = counts.df.astype(np.float64), np.zeros(len(whole))
    for size, df in _frequencies(counts, articles, main_lang):
        total += df * (1 + np.log((1 + size) / (1 + df)))
        rest -= df
    return np.asarray(np.where(rest < counts.df, (total + rest * whole) / counts.df, whole))


def _frequencies(
    counts: TermCounts, articles: Sequence[Article], main_lang: str
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the size of each language and the document frequency of each term in it; none if it is alone."""
    codes, _ = language_codes(articles, main_lang)
    sizes = np.bincount(codes)
    if len(sizes) == 1:
        return
    owners = np.repeat(codes, np.diff(counts.offsets))
    for code in np.flatnonzero(sizes >= _ENOUGH).tolist():
        yield int(sizes[code]), np.bincount(counts.columns[owners == code], minlength=len(counts.terms))


def _chosen(strings: Strings, used: np.ndarray) -> Strings:
    """Return the strings of a mask, (n,) bool."""
    lengths = np.diff(strings.offsets)
    offsets = np.zeros(np.count_nonzero(used) + 1, dtype=np.int64)
    np.cumsum(lengths[used], out=offsets[1:])
    return Strings(strings.utf8[np.repeat(used, lengths)], offsets)
