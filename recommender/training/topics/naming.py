"""What people call a topic: the terms that tell it from the others, and how newspapers spell them."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from recommender.columns import Strings
from recommender.model import Topic
from recommender.stems import ELLIPSIS
from recommender.text import unspaced_runs
from recommender.training.topics.coherence import co_occurrences, npmi

TERMS = 8  # that a topic is told by
_MOST_TERMS = 50_000  # of the highest df; the others name nothing
_CANDIDATES = 80  # for the terms of one topic
_LEAST_SHARE = 0.1  # of a topic's articles, for a term of it
_NAME_TERMS = 3
_SLACK = 0.05  # so that a topic alone, which nothing tells apart, is named by its weightiest terms

# The terms of a passage that many articles repeat (a notice, an advertisement) stand in the same articles.
_PASSAGE_CANDIDATES = 30  # of a topic's best terms; where so many of them are
_PASSAGE_TERMS = 5  # of a passage, the topic is about nothing else: furniture.
_PASSAGE_OTHERS = 3  # with so many others, no word in common, each is found
_PASSAGE_LIKENESS = 0.6  # in the same articles, by the Jaccard coefficient,
_PASSAGE_ARTICLES = 20  # and in so many of the corpus: in few, they may well be one story,
_PASSAGE_LEAST = 5  # and in so many of a sample

_VARIANT_LETTERS = 4
_VARIANT_SHARE = 0.57  # ferry and ferries, Russia and Russian, immigrant and immigration
_BIGRAM_SHARE = 0.5  # of a word's articles in a topic; above it, the word is spoken of as that pair
_BIGRAM_ARTICLES = 3

_SPELLING_ARTICLES = 12  # read to learn how a term is spelt
_SPELLING_CHARS = 8_000
_BETWEEN = (
    r"[ \u00a0'\u2019-]+(?:\w+[ \u00a0'\u2019-]+){0,2}?"  # the stop words that a pair of words leaves out
)


@dataclass(frozen=True)
class TopicDescription:
    """How a topic reads."""

    terms: list[int]  # up to 8 places among the naming terms, the most telling first
    articles: int
    coherence: float  # NPMI of the terms
    is_boilerplate: bool  # whether it holds what repeats one passage, whatever that is about


@dataclass(frozen=True)
class NamingTerms:
    """The terms that may name a topic, and the articles that they stand in."""

    words: list[str]
    weights: csr_array  # (n, m) float32, TF-IDF
    present: csr_array  # (n, m) float32, 1 where a term stands
    sampled: float = 1.0  # the share of the corpus that the n articles are

    @classmethod
    def of(
        cls, rows: csr_array, df: np.ndarray, terms: Strings, spelt: Callable[[str], str] = str
    ) -> "NamingTerms":
        """Choose among the terms of the TF-IDF rows: the highest df, no piece, none led by a number.

        `spelt` returns a term in whole words.
        """
        whole = np.array([ELLIPSIS not in term for term in terms], dtype=bool)
        frequent = np.sort(np.argsort(np.where(whole, -df, 0), kind="stable")[:_MOST_TERMS])
        columns = [column for column in frequent.tolist() if _may_name(terms[column])]
        return cls._of_matrix([spelt(terms[column]) for column in columns], rows[:, columns])

    def restricted_to(self, rows: np.ndarray) -> "NamingTerms":
        """Return the same terms in these rows only."""
        sampled = len(rows) / max(self.weights.shape[0], 1)
        return self._of_matrix(self.words, self.weights[rows], sampled)

    @classmethod
    def _of_matrix(cls, words: list[str], weights: csr_array, sampled: float = 1.0) -> "NamingTerms":
        ones = np.ones(len(weights.data), dtype=np.float32)
        present = csr_array((ones, weights.indices, weights.indptr), shape=weights.shape)
        return cls(words, weights, present, sampled)

    def describe(self, first: np.ndarray, count: int) -> list[TopicDescription]:
        """Return how each of `count` topics reads; `first` is that of each article, (n,) int, -1 for none."""
        sizes, dfs, distinctiveness = self._distinctiveness(first, count)
        candidates = [_most_distinctive(distinctiveness[topic]) for topic in range(count)]
        places = sorted({place for best in candidates for place in best})
        by_term = self.present[:, places].tocsc()
        column_of = {place: column for column, place in enumerate(places)}
        descriptions = []
        for best, df, size in zip(candidates, dfs, sizes.tolist(), strict=True):
            terms = self._select_terms(best, df, size)
            candidate_columns = [column_of[place] for place in best[:_PASSAGE_CANDIDATES]]
            boilerplate = self._is_boilerplate(
                best[:_PASSAGE_CANDIDATES], co_occurrences(by_term, candidate_columns)
            )
            both = co_occurrences(by_term, [column_of[place] for place in terms])
            descriptions.append(TopicDescription(terms, size, npmi(both, len(first)), boilerplate))
        return descriptions

    def _distinctiveness(self, first: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the topics' sizes, the df of each term in each, and how well it tells the topic apart.

        That is the geometric mean of its weight and of its share of the articles, times the logarithm of how
        much larger that share is than elsewhere; 0 for a term of too few.
        """
        members = np.flatnonzero(first >= 0)
        sizes = np.bincount(first[members], minlength=count)
        ones = np.ones(len(members), dtype=np.float32)
        belongs = csr_array((ones, (first[members], members)), shape=(count, len(first)))
        docs = (belongs @ self.present).toarray()
        inside = np.maximum(sizes, 1)[:, None]
        share = docs / inside
        overall = np.maximum(self.present.sum(axis=0), 1) / max(len(first), 1)
        lift = np.log(np.maximum(share / overall, 1e-9)) + _SLACK
        distinctiveness = np.sqrt((belongs @ self.weights).toarray() / inside * share) * lift
        distinctiveness[docs < np.maximum(np.minimum(sizes, 2), _LEAST_SHARE * sizes)[:, None]] = 0
        return sizes, docs, distinctiveness

    def _is_boilerplate(self, places: list[int], both: np.ndarray) -> bool:
        """Tell whether many of the terms are of one passage that articles repeat; `both` as of `together`."""
        df = np.diag(both)
        jaccard = both / np.maximum(df[:, None] + df - both, 1)
        words = [set(self.words[place].split()) for place in places]
        apart = np.array([[left.isdisjoint(right) for right in words] for left in words], dtype=bool)
        least = max(_PASSAGE_LEAST, _PASSAGE_ARTICLES * self.sampled)
        similar = (jaccard >= _PASSAGE_LIKENESS) & (both >= least) & apart.reshape(both.shape)
        return int(np.count_nonzero(similar.sum(axis=1) >= _PASSAGE_OTHERS)) >= _PASSAGE_TERMS

    def _select_terms(self, places: list[int], docs: np.ndarray, size: int) -> list[int]:
        """Return the first terms, no two of them twins; a pair of words stands for its halves."""
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

    def _prefer_pair(self, place: int, pairs: list[int], docs: np.ndarray) -> int | None:
        """Return the pair of words that most of a word's articles have, else the word; no pair of too few."""
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
    """Name each topic by its first terms, no two alike, spelt as its own articles spell them.

    `text_of` returns the text of a row.
    """
    by_term = terms.present[:, [place for description in descriptions for place in description.terms]].tocsc()
    used_names: set[str] = set()
    topics = []
    column = 0
    for topic, description in enumerate(descriptions):
        words = [terms.words[place] for place in description.terms]
        spelt = []
        for word in words:
            rows_with_term = by_term.indices[by_term.indptr[column] : by_term.indptr[column + 1]]
            own = rows_with_term[first[rows_with_term] == topic]
            step = max(1, len(own) // _SPELLING_ARTICLES)
            spelt.append(_Spelling(word, own[::step][:_SPELLING_ARTICLES].tolist(), text_of))
            column += 1
        name, slug = _name_and_slug(words, spelt, used_names, topic)
        coherence = round(description.coherence, 4)
        topics.append(
            Topic(slug=slug, name=name, terms=words, articles=description.articles, coherence=coherence)
        )
    return topics


def spelling(term: str, texts: Iterable[str]) -> str:
    """Return how the texts spell a term most often, with the small words that it leaves out.

    `bureau investigation` may come back as `Bureau of Investigation`, `sex marriage` as `same-sex marriage`.
    Where none has it, the term itself; the overlapping pairs of a script without spaces are joined.
    """
    words = term.split()
    if len(words) > 1 and unspaced_runs().fullmatch(words[0]):
        joined = words[0] + words[1][1:]
        return joined if words[0][-1:] == words[1][:1] else term
    pattern = re.compile(rf"(?:\b\w+-)?\b{_BETWEEN.join(map(re.escape, words))}\b(?:-\w+\b)?", re.IGNORECASE)
    forms = Counter(" ".join(form.split()) for text in texts for form in pattern.findall(text))
    # Of two forms that are as frequent, the one in small letters: capitals may be those of a headline.
    return max(forms, key=lambda form: (forms[form], form), default=term)


@dataclass(frozen=True)
class _Spelling:
    """How a term is spelt, looked up when it is needed."""

    term: str
    rows: list[int]
    text_of: Callable[[int], str]

    def __str__(self) -> str:
        return spelling(self.term, (self.text_of(row)[:_SPELLING_CHARS] for row in self.rows))


def _name_and_slug(
    terms: Sequence[str], spelt: Sequence[_Spelling], used_names: set[str], number: int
) -> tuple[str, str]:
    """Return a name and a slug that no earlier topic has."""
    for length in range(min(_NAME_TERMS, len(terms)), len(terms) + 1):
        name = ", ".join(map(str, spelt[:length]))
        name = name[:1].upper() + name[1:]
        slug = "-".join(" ".join(spelling(term, ()) for term in terms[: max(1, length - 1)]).split())
        if name and name not in used_names and slug not in used_names:
            break
    else:
        name, slug = ", ".join([*terms[:2], str(number + 1)]), f"topic-{number + 1}"
    used_names |= {name, slug}
    return name, slug


def _may_name(term: str) -> bool:
    return ELLIPSIS not in term and not term.split(maxsplit=1)[0].isdigit()


def _most_distinctive(distinctiveness: np.ndarray) -> list[int]:
    """Return the places of the most telling terms, best first."""
    best = np.argsort(-distinctiveness, kind="stable")[:_CANDIDATES]
    places: list[int] = best[distinctiveness[best] > 0].tolist()
    return places


def _are_variants(left: str, right: str) -> bool:
    """Tell whether two words are the same or begin alike, as forms of one word do."""
    if left == right:
        return True
    prefix = next((at for at, pair in enumerate(zip(left, right, strict=False)) if len(set(pair)) > 1), None)
    length = min(len(left), len(right)) if prefix is None else prefix
    return length >= max(_VARIANT_LETTERS, _VARIANT_SHARE * max(len(left), len(right)))
