"""Topic names: the terms that distinguish a topic from the others, as the articles spell them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import compress, pairwise

import numpy as np
from scipy.sparse import csc_array, csr_array

from recommender.columns import Strings
from recommender.manifest import Topic
from recommender.stems import ELLIPSIS
from recommender.text import words as split_words
from recommender.training.topics.coherence import co_occurrences, npmi
from recommender.training.topics.sparse import largest, selected
from recommender.training.topics.spelling import spelling

TERMS = 8  # of a topic
_MOST_TERMS = 50_000  # only the terms of highest df can name a topic
_CANDIDATES = 80  # for the terms of one topic
_LEAST_SHARE = 0.1  # of a topic's articles must have a term of the topic
_NAME_TERMS = 3
_LEAST_SHARED = 3  # terms of two similar topics
_CODES = frozenset("doi href html http https isbn issn jpg pdf php png url utm www".split())
_CODE_DIGITS = 3
_SLACK = (
    0.05  # so that the only topic of a corpus, which has no lift, is named by its terms of highest weight
)

# The terms of a passage that many articles repeat (a notice, an advertisement) occur in the same articles. A
# topic is boilerplate if at least _PASSAGE_TERMS of its _PASSAGE_CANDIDATES best terms each occur with at
# least _PASSAGE_OTHERS others, without a common word, in the same articles: by the Jaccard coefficient, and
# in enough articles of the corpus (in few, they may be about one story) and of the sample.
_PASSAGE_CANDIDATES = 30
_PASSAGE_TERMS = 5
_PASSAGE_OTHERS = 3
_PASSAGE_JACCARD = 0.6
_PASSAGE_ARTICLES = 20
_PASSAGE_LEAST = 5
_SITE_TERMS = 3  # of the first 8 terms; then the articles have their site in common

_VARIANT_LETTERS = 4
_VARIANT_SHARE = 0.57  # ferry and ferries, Russia and Russian, immigrant and immigration
_BIGRAM_SHARE = (
    0.5  # of a word's articles in a topic that have the pair; from here on the pair replaces the word
)
_BIGRAM_ARTICLES = 3

_SPELLING_ARTICLES = 12  # read to find the spelling of a term
_SPELLING_CHARS = 8_000


@dataclass(frozen=True)
class TopicDescription:
    """The terms of a topic and their quality."""

    terms: list[int]  # up to 8 places in the naming terms, the most distinctive first
    articles: int
    coherence: float  # NPMI of the terms
    is_boilerplate: bool  # whether its articles only have a repeated passage or a site in common
    words: list[frozenset[str]]  # of each term

    def resembles(self, other: "TopicDescription") -> bool:
        """Return whether half of the terms of one share a word with terms of the other, but at least 3."""
        if self.all_words.isdisjoint(other.all_words):
            return False
        shared = min(_shared(self.words, other.all_words), _shared(other.words, self.all_words))
        return shared >= max(_LEAST_SHARED, min(len(self.words), len(other.words)) / 2)

    @cached_property
    def all_words(self) -> frozenset[str]:
        """The words of all terms."""
        return frozenset().union(*self.words)


@dataclass(frozen=True)
class NamingTerms:
    """The terms that may name a topic, and a sample of articles in which they occur."""

    words: list[str]
    weights: csr_array  # (n, m) float32, TF-IDF
    present: csc_array  # (n, m) float32, 1 if an article has the term
    function_words: np.ndarray  # (m,) bool; they name no topic
    site_words: np.ndarray  # (m,) bool; neither do they, and a topic that they distinguish is boilerplate
    sampled: float  # the n articles as a share of the corpus

    @classmethod
    def of(
        cls,
        rows: csr_array,
        df: np.ndarray,
        terms: Strings,
        spelt: Callable[[str], str] = str,
        sample: np.ndarray | None = None,
    ) -> "NamingTerms":
        """Select from the terms of the TF-IDF rows: highest df, no pieces, no terms that start with a number.

        `spelt` converts the stems of a term to words. `sample` has the rows of the articles; default: all.
        """
        sample = np.arange(rows.shape[0]) if sample is None else sample
        whole = np.flatnonzero(~_have_ellipsis(terms))
        frequent = whole[largest(df[whole], _MOST_TERMS)]
        candidates = [terms.bytes_at(column).decode() for column in frequent.tolist()]
        may_name = [_may_name(term) for term in candidates]
        words = [spelt(term) for term in compress(candidates, may_name)]
        weights = selected(rows, sample, frequent[np.array(may_name, dtype=bool)])
        present = weights.tocsc()
        present.data = np.ones(len(present.data), dtype=np.float32)
        none = np.zeros(len(words), dtype=bool)
        return cls(words, weights, present, none, none, len(sample) / max(rows.shape[0], 1))

    def describe(self, first: np.ndarray, count: int) -> list[TopicDescription]:
        """Describe each of `count` topics; `first` is the topic of each article, (n,) int, -1 for none."""
        sizes = np.bincount(first[first >= 0], minlength=count).tolist()
        descriptions = []
        for size, (places, docs) in zip(sizes, self._distinctive(first, count), strict=True):
            of_site = int(self.site_words[places[:TERMS]].sum())
            may_name = ~(self.function_words | self.site_words)[places]
            best: list[int] = places[may_name][:_CANDIDATES].tolist()
            terms = self._select_terms(best, dict(zip(places.tolist(), docs.tolist(), strict=True)), size)
            passage = best[:_PASSAGE_CANDIDATES]
            columns = list(dict.fromkeys([*passage, *terms]))
            both = co_occurrences(self.present, columns)
            own = [columns.index(place) for place in terms]
            boilerplate = of_site >= _SITE_TERMS or self._is_boilerplate(
                passage, both[: len(passage), : len(passage)]
            )
            coherence = npmi(both[np.ix_(own, own)], len(first))
            parts = [frozenset(self.words[place].split()) for place in terms]
            descriptions.append(TopicDescription(terms, size, coherence, boilerplate, parts))
        return descriptions

    def _distinctive(self, first: np.ndarray, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the places of the distinctive terms of each topic, best first, and their df in the topic.

        The distinctiveness is the geometric mean of the term's mean weight in the topic and its share of the
        topic's articles, times the log of its lift: that share relative to its share of all articles. A term
        is not distinctive if that is negative, or if too few articles have the term.
        """
        n_terms = len(self.words)
        by_topic = self.weights[np.argsort(first, kind="stable")]
        edges = np.searchsorted(np.sort(first), np.arange(count + 1))
        entries = by_topic.indptr[edges].tolist()
        share_of_all = np.maximum(np.diff(self.present.indptr), 1) / max(len(first), 1)
        for size, (start, end) in zip(np.diff(edges).tolist(), pairwise(entries), strict=True):
            columns, weights = by_topic.indices[start:end], by_topic.data[start:end]
            docs = np.bincount(columns, minlength=n_terms)
            places = np.flatnonzero(docs >= max(min(size, 2), _LEAST_SHARE * size, 1))
            docs, totals = docs[places], np.bincount(columns, weights, minlength=n_terms)[places]
            share = docs / max(size, 1)
            lift = np.log(share / share_of_all[places]) + _SLACK
            distinctiveness = np.sqrt(totals / max(size, 1) * share) * lift
            best = np.argsort(-distinctiveness, kind="stable")[: np.count_nonzero(distinctiveness > 0)]
            yield places[best], docs[best]

    def _is_boilerplate(self, places: list[int], both: np.ndarray) -> bool:
        """Return whether many terms are from one repeated passage; `both` is from `co_occurrences`."""
        df = np.diag(both)
        jaccard = both / np.maximum(df[:, None] + df - both, 1)
        least = max(_PASSAGE_LEAST, _PASSAGE_ARTICLES * self.sampled)
        similar = (jaccard >= _PASSAGE_JACCARD) & (both >= least)
        words = [set(self.words[place].split()) for place in places]
        for left, right in np.argwhere(similar).tolist():
            similar[left, right] = words[left].isdisjoint(words[right])
        return int(np.count_nonzero(similar.sum(axis=1) >= _PASSAGE_OTHERS)) >= _PASSAGE_TERMS

    def _select_terms(self, places: list[int], docs: dict[int, int], size: int) -> list[int]:
        """Return the first terms without variants of each other; a pair of words replaces its words."""
        common = min(_BIGRAM_ARTICLES, size)
        pairs = [place for place in places if " " in self.words[place] and docs[place] >= common]
        selection: list[int] = []
        used: list[str] = []
        for place in places:
            best = self._prefer_pair(place, pairs, docs)
            parts = [] if best is None else self.words[best].split()
            if best is not None and not any(_are_variants(part, other) for part in parts for other in used):
                selection.append(best)
                used += parts
            if len(selection) == TERMS:
                break
        return selection

    def _prefer_pair(self, place: int, pairs: list[int], docs: dict[int, int]) -> int | None:
        """Return the pair that most of a word's articles have, or the word; None for a rare pair."""
        if " " in self.words[place]:
            return place if place in pairs else None
        containing = [pair for pair in pairs if self.words[place] in self.words[pair].split()]
        best = max(containing, key=lambda pair: docs[pair], default=place)
        return best if docs[best] >= _BIGRAM_SHARE * docs[place] else place


def name_topics(
    terms: NamingTerms,
    descriptions: Sequence[TopicDescription],
    first: np.ndarray,
    text_of: Callable[[int], str],
) -> list[Topic]:
    """Name each topic by its first terms, with unique names, spelt as in its own articles.

    `text_of` returns the text of a row.
    """
    used_names: set[str] = set()
    content = frozenset(terms.words)
    topics = []
    for topic, description in enumerate(descriptions):
        words = [terms.words[place] for place in description.terms]

        @cache
        def spell(number: int, description: TopicDescription = description, topic: int = topic) -> str:
            place = description.terms[number]
            with_term = terms.present.indices[slice(*terms.present.indptr[place : place + 2])]
            own = with_term[first[with_term] == topic]
            step = max(1, len(own) // _SPELLING_ARTICLES)
            texts = (text_of(row)[:_SPELLING_CHARS] for row in own[::step][:_SPELLING_ARTICLES].tolist())
            return spelling(terms.words[place], texts, content)

        name, slug = _name_and_slug(words, spell, used_names, topic)
        coherence = round(description.coherence, 4)
        topics.append(
            Topic(slug=slug, name=name, terms=words, articles=description.articles, coherence=coherence)
        )
    return topics


def _name_and_slug(
    terms: Sequence[str], spell: Callable[[int], str], used_names: set[str], number: int
) -> tuple[str, str]:
    """Return a name and a slug that are not used by an earlier topic; `spell` spells a term by its place."""
    for length in range(min(_NAME_TERMS, len(terms)), len(terms) + 1):
        name = ", ".join(_without_repetition(map(spell, range(len(terms))), length))
        name = name[:1].upper() + name[1:]
        slug = "-".join(" ".join(spelling(term, ()) for term in terms[: max(1, length - 1)]).split())
        if name and name not in used_names and slug not in used_names:
            break
    else:
        name, slug = ", ".join([*terms[:2], str(number + 1)]), f"topic-{number + 1}"
    used_names |= {name, slug}
    return name, slug


def _without_repetition(spelt: Iterable[str], count: int) -> list[str]:
    """Return the first `count` spellings that do not contain a word of an earlier one."""
    selection: list[str] = []
    used: set[str] = set()
    for spelling_of_term in spelt:
        own = set(split_words(spelling_of_term))
        if not own & used:
            selection.append(spelling_of_term)
            used |= own
        if len(selection) == count:
            break
    return selection


def _shared(terms: list[frozenset[str]], words: frozenset[str]) -> int:
    """Return how many of the terms contain one of the words."""
    return sum(not term.isdisjoint(words) for term in terms)


def _have_ellipsis(terms: Strings) -> np.ndarray:
    """Return which terms are pieces of words, (n_terms,) bool."""
    mark = np.frombuffer(ELLIPSIS.encode(), dtype=np.uint8)
    found = np.flatnonzero(terms.utf8 == mark[0])
    for number in range(1, len(mark)):
        found = found[terms.utf8[found + number] == mark[number]]
    have = np.zeros(len(terms), dtype=bool)
    have[np.searchsorted(terms.offsets, found, side="right") - 1] = True
    return have


def _may_name(term: str) -> bool:
    parts = term.split()
    if not _CODES.isdisjoint(parts):
        return False
    return all(map(str.isalpha, parts)) or not (parts[0].isdigit() or any(map(_is_code, parts)))


def _is_code(word: str) -> bool:
    """Return whether a word is part of an identifier, or a number of 3 or more digits."""
    digits = sum(map(str.isdigit, word))
    return digits >= _CODE_DIGITS and (digits == len(word) or digits > _CODE_DIGITS)


def _are_variants(left: str, right: str) -> bool:
    """Return whether two words are equal or share a long prefix, like forms of one word."""
    if left == right:
        return True
    prefix = next((at for at, pair in enumerate(zip(left, right, strict=False)) if len(set(pair)) > 1), None)
    length = min(len(left), len(right)) if prefix is None else prefix
    return length >= max(_VARIANT_LETTERS, _VARIANT_SHARE * max(len(left), len(right)))
