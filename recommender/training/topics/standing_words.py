"""Standing words: terms that occur everywhere in a language or on a site, and so name no topic.

Stop word lists leave out function words before terms are counted, but not every language has a list. Each
site also has its own words, such as its name or the labels of its pictures. Both kinds are recognized by
their distribution in the corpus. A function word occurs in many articles of a language, evenly in all
clusters. A site's word occurs in many articles of one site and hardly on any other.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import chain, compress
from urllib.parse import urlsplit

import numpy as np
from scipy.sparse import csc_array, csr_array

from recommender.article import Article
from recommender.text import base_language

_LEAST_ARTICLES = 20  # of a language or a site, to judge its words
_COMMON_SHARE = 0.15  # of the articles of a language without a stop word list have a function word, or
_COMMON_SHARE_LISTED = 0.5  # of one with a list, which leaves only few
_EVEN = 0.1  # the largest part of a function word's variance that its differences between clusters explain
_SECOND_LEVEL = ("ac", "co", "com", "gov", "net", "org")  # as in bbc.co.uk
_LEAST_SITE_WORD = 10  # articles of a site have its word, at least
_SITE_BOUND = 0.9  # of a site word's articles are from the site,
_SITE_SHARE = 0.1  # of the site's articles have it, and
_CACHED_HOSTS = 10_000
_LARGEST_SITE = 0.5  # of all articles are from the site, at most


def function_words(
    words: Sequence[str],
    present: csc_array,
    clusters: np.ndarray,
    articles: Sequence[Article],
    listed: Collection[str],
) -> np.ndarray:
    """Return which terms are or contain a function word of the articles' languages, (m,) bool.

    `present` is (n, m), not zero if an article has the term. `clusters` has the cluster of each article, -1
    for none. `listed` has the languages whose stop words have been left out.
    """
    groups = list(_terms_of_words(words).values())
    starts = np.cumsum([0, *map(len, groups)])[:-1]
    terms_by_word = np.fromiter(chain.from_iterable(groups), dtype=np.intp)
    rows_of_lang: dict[str, list[int]] = defaultdict(list)
    for row, article in enumerate(articles):
        rows_of_lang[base_language(article.lang or "")].append(row)
    excluded = np.zeros(len(words), dtype=bool)
    for lang, rows in rows_of_lang.items():
        if len(rows) < _LEAST_ARTICLES:
            continue
        inside = present if len(rows) == len(articles) else present.tocsr()[rows].tocsc()
        least = len(rows) * (_COMMON_SHARE_LISTED if lang in listed else _COMMON_SHARE)
        totals = np.add.reduceat(np.diff(inside.indptr)[terms_by_word], starts)
        for terms in compress(groups, (totals >= least).tolist()):
            has = np.unique(np.concatenate([_rows_with(inside, term) for term in terms]))
            if len(has) >= least and _explained(has, clusters[rows]) <= _EVEN:
                excluded[terms] = True
    return excluded


def site_words(words: Sequence[str], present: csc_array, articles: Sequence[Article]) -> np.ndarray:
    """Return which terms belong to one site among several, or are a site's name, (m,) bool."""
    names, site_of = np.unique(
        [_host(_origin(article.url or "")) for article in articles], return_inverse=True
    )
    sizes = np.bincount(site_of)
    sites = np.flatnonzero((sizes >= _LEAST_ARTICLES) & (names != ""))
    own = {name for site in sites for name in _site_names(str(names[site]))}
    excluded = np.array([word.replace(" ", "") in own for word in words], dtype=bool)
    judged = sites[sizes[sites] <= _LARGEST_SITE * len(articles)]
    rows = np.flatnonzero(np.isin(site_of, judged))
    site_of_row = np.searchsorted(judged, site_of[rows])
    belongs = csr_array((np.ones(len(rows)), (site_of_row, rows)), shape=(len(judged), len(articles)))
    inside = (belongs @ present).tocoo()
    site, term = inside.coords
    least = np.maximum(_SITE_SHARE * sizes[judged[site]], _LEAST_SITE_WORD)
    least = np.maximum(_SITE_BOUND * np.diff(present.indptr)[term], least)
    excluded[term[inside.data >= least]] = True
    return excluded


def _terms_of_words(words: Sequence[str]) -> dict[str, list[int]]:
    terms_of: dict[str, list[int]] = defaultdict(list)
    for term, word in enumerate(words):
        for part in set(word.split()):
            terms_of[part].append(term)
    return terms_of


def _rows_with(present: csc_array, term: int) -> np.ndarray:
    return np.asarray(present.indices[present.indptr[term] : present.indptr[term + 1]])


def _explained(has: np.ndarray, clusters: np.ndarray) -> float:
    """Return the part of the variance of a word's presence that clusters explain, without chance: 0 to 1."""
    clusters = clusters + 1
    n, sizes = len(clusters), np.bincount(clusters)
    share = len(has) / n
    if share == 1:
        return 0.0
    shares = np.bincount(clusters[has], minlength=len(sizes)) / np.maximum(sizes, 1)
    between = float((sizes * (shares - share) ** 2).sum() / n)
    return between / (share * (1 - share)) - (np.count_nonzero(sizes) - 1) / n


def _origin(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])


@lru_cache(maxsize=_CACHED_HOSTS)
def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").removeprefix("www.")


def _site_names(host: str) -> tuple[str, str]:
    """Return the registered label of a host name, as it is and without "the"."""
    labels = host.split(".")[:-1]
    if len(labels) > 1 and labels[-1] in _SECOND_LEVEL:
        labels.pop()
    name = labels[-1] if labels else ""
    return name, name.removeprefix("the")
