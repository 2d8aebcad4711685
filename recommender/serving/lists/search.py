"""Search: the articles that hold what a reader types, those first that the reader most likely means."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from recommender.model import NO_MOMENT
from recommender.serving.index.categories import Categories
from recommender.serving.index.snapshot import Snapshot
from recommender.serving.index.timeline import Timeline
from recommender.serving.lists.filters import EligibilityFilter
from recommender.serving.lists.query import ANY, Item, ListQuery, RelatedList
from recommender.serving.lists.ranking import CandidateRanker
from recommender.serving.rules.applied import AppliedRules
from recommender.text import typed_words

_TITLE = 0.5  # how much of a score the title decides, and the whole text the rest
_BEGUN = 0.5  # what a word of a title counts that only begins as typed, beside the word itself
_FORM = 0.7  # what another form of it counts
_KIN = 0.3  # and where terms are no stems, in texts, too
_LEAST_STEM_CHARS = 3
_MANY, _LITTLE = 16, 0.01  # terms for each article; what they weigh then
_NOTHING = range(0)


@dataclass(frozen=True, slots=True)
class SearchWords:
    """What is looked for in the articles of one language."""

    words: tuple[str, ...]  # without stop words
    stems: tuple[str, ...]  # of the words, as the model's terms have them
    roots: tuple[str, ...]  # of the words, whatever the terms are made of
    loose: bool  # whether they are no stems
    begun: bool  # whether the last is the beginning of a word

    def is_begun(self, at: int) -> bool:
        """Tell whether the word of a position is the beginning of one."""
        return self.begun and at == len(self.words) - 1


@dataclass(frozen=True, slots=True)
class Matches:
    """What the articles hold of it."""

    missing: np.ndarray  # (n,) int64, how many of the words an article does not hold
    any: np.ndarray  # (n,) bool, whether it holds one
    scores: np.ndarray  # (n,) float64, 0 to 1


class Search:
    """Search in one edition, under the rules that act.

    An article holds a word if it, or another of its stem, is in the title or among the article's terms; the
    last word may be the beginning of one. Stop words count only where there is nothing else. An article is
    found if it holds all the words, or, where no public article does, as many as any does.

    The score is the mean of two shares: that of the title in the words, each weighing the square of its
    rarity, and the cosine of the article's terms with the words and their pairs. Age and boosts act on it as
    in all lists.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        timeline: Timeline,
        categories: Categories,
        rules: AppliedRules,
        eligible: EligibilityFilter,
    ) -> None:
        self._snapshot, self._timeline, self._categories = snapshot, timeline, categories
        self._rules, self._eligible = rules, eligible

    def of(
        self, text: str, limit: int, now: datetime, *, categories: Sequence[str] = (), lang: str = ANY
    ) -> RelatedList:
        """Return the articles found that pass the filters, one of all copies.

        Raises UnknownCategoryError.
        """
        exact = [each for name in categories for each in self._categories.named(name)]
        blocked = self._rules.list_rules(None, exact).blocked
        found = self._found(text)
        mask = self._eligible.public(now) & found.any
        if mask.any():
            mask &= found.missing == found.missing[mask].min()
        if categories:
            mask &= self._categories.rows(exact)
        if lang != ANY:
            mask &= self._eligible.public(now, lang)
        mask[list(blocked)] = False
        self._eligible.keep_one_copy(mask)
        rows = np.flatnonzero(mask)
        ranker = CandidateRanker(
            self._snapshot, self._timeline, ListQuery(limit=limit), NO_MOMENT, now, boosts=self._rules.boosts
        )
        selection = ranker.top(rows, found.scores[rows])
        pairs = zip(selection.rows.tolist(), selection.scores.tolist(), strict=True)
        return RelatedList(
            article_id=None,
            as_of=self._timeline.as_of(now),
            requested=limit,
            eligible=len(rows),
            items=tuple(Item(row, "similar", score) for row, score in pairs),
            blocked=frozenset(blocked),
        )

    def _found(self, text: str) -> Matches:
        """Return what every article holds of the text, which is read in each article's language."""
        n, codes = len(self._snapshot), self._snapshot.articles.langs.codes
        typed = typed_words(text)
        if not typed:
            return Matches(np.zeros(n, dtype=np.int64), np.zeros(n, dtype=bool), np.zeros(n))
        asked: dict[SearchWords, list[int]] = {}
        for code, lang in enumerate(["", *self._snapshot.articles.langs.names], start=-1):
            asked.setdefault(self.asked(typed, lang), []).append(code)
        if len(asked) == 1:
            return self._held(next(iter(asked)))
        whole = Matches(np.zeros(n, dtype=np.int64), np.zeros(n, dtype=bool), np.zeros(n))
        for each, langs in asked.items():
            found, inside = self._held(each), np.isin(codes, langs)
            whole.missing[inside], whole.any[inside] = found.missing[inside], found.any[inside]
            whole.scores[inside] = found.scores[inside]
        return whole

    def asked(self, typed: Sequence[str], lang: str) -> SearchWords:
        """Return what typed words, at least one, look for in the articles of a language; empty: of none."""
        rules = self._snapshot.model.rules
        lang = lang or rules.main_lang
        stop = rules.stop_words.get(lang, frozenset())
        *before, last = typed
        kept = [word for word in before if word not in stop]
        begun = not kept or last not in stop
        if begun:
            kept = [*(kept if kept or last not in stop else before), last]
        roots = (rules.root(word, lang) for word in kept)
        return SearchWords(
            tuple(kept), tuple(rules.stemmed(kept, lang)), tuple(roots), lang in rules.unstemmed, begun
        )

    def _held(self, asked: SearchWords) -> Matches:
        n = len(self._snapshot)
        missing, cosines, in_titles = np.zeros(n, dtype=np.int64), np.zeros(n), np.zeros(n)
        of_words = of_all = 0.0  # squared weights
        for at in range(len(asked.words)):
            in_text, in_title = self._in_texts(self._terms(asked, at)), self._in_titles(asked, at)
            held = (in_title > 0) | (in_text > 0)
            weight = self._rarity(held)
            if asked.loose:
                in_text = np.maximum(in_text, _KIN * self._in_texts(self._kin(asked, at)))
                held |= in_text > 0
            missing += ~held
            cosines += weight * in_text
            in_titles += weight**2 * in_title
            of_words += weight**2
        of_all = of_words
        for at in range(1, len(asked.words)):
            in_text = self._in_texts(self._pairs(asked, at))
            weight = self._rarity(in_text > 0)
            cosines += weight * in_text
            of_all += weight**2
        scores = _TITLE * in_titles / of_words + (1 - _TITLE) * cosines / np.sqrt(of_all)
        return Matches(missing, missing < len(asked.words), scores)

    def _rarity(self, held: np.ndarray) -> float:
        """Return how much it tells that an article holds a word, which is an inverse document frequency.

        What was withdrawn or corrected does not count: a worker that starts now has never seen it.
        """
        shown = self._snapshot.articles.shown
        return float(1 + np.log((1 + np.count_nonzero(shown)) / (1 + np.count_nonzero(held & shown))))

    def _terms(self, asked: SearchWords, at: int) -> list[range]:
        """Return the spans of terms that a word stands for."""
        terms, word, one = self._snapshot.vocabulary.terms, asked.words[at], asked.stems[at]
        if asked.is_begun(at):
            beginning = terms.beginning_with(word)
            others = {*self._half_typed(word), one}
            return [beginning, *(self._term(each) for each in sorted(others) if not each.startswith(word))]
        # What is in most articles is no term, but its pairs with others are.
        return [self._term(one) or terms.beginning_with(f"{one} ")]

    def _kin(self, asked: SearchWords, at: int) -> list[range]:
        """Return the spans of other words of the same stem, in a language in which terms are no stems.

        They are those of titles, for there are hardly others.
        """
        word = asked.words[at]
        kin = {
            each
            for block in self._snapshot.title_segments()
            for each in block.words_with_stem(asked.roots[at])
        }
        kin = {each for each in kin if not each.startswith(word)} if asked.is_begun(at) else kin - {word}
        return [self._term(each) for each in sorted(kin)]

    def _pairs(self, asked: SearchWords, at: int) -> list[range]:
        """Return the spans of terms that a word stands for together with the one before it."""
        terms, one, before = self._snapshot.vocabulary.terms, asked.stems[at], asked.stems[at - 1]
        if not asked.is_begun(at):
            return [self._term(f"{before} {one}")]
        beginning = terms.beginning_with(f"{before} {asked.words[at]}")
        whole = _NOTHING if one.startswith(asked.words[at]) else self._term(f"{before} {one}")
        return [beginning, whole]

    def _term(self, term: str) -> range:
        row = self._snapshot.vocabulary.terms.find(term)
        return _NOTHING if row is None else range(row, row + 1)

    def _half_typed(self, beginning: str) -> list[str]:
        """Return stems shorter than a beginning that have words which go on like it.

        `universiti` is no stem, nor is any stem longer, yet it is on the way to `universities`.
        """
        vocabulary = self._snapshot.vocabulary
        found = []
        for end in range(_LEAST_STEM_CHARS, len(beginning)):
            row = vocabulary.stems.find(beginning[:end])
            if row is not None and vocabulary.forms[row].startswith(beginning[: end + 1]):
                found.append(beginning[:end])
        return found

    def _in_texts(self, spans: Sequence[range]) -> np.ndarray:
        """Return how much some terms weigh in every article together, (n,) float64: the root of squares.

        Where they are so many that they tell no article from another, little wherever any of them is.
        """
        n = len(self._snapshot)
        found = [self._snapshot.vectors.holding(span) for span in spans if len(span)]
        if not found:
            return np.zeros(n)
        if sum(map(len, spans)) == 1:
            return np.bincount(*found[0], minlength=n)
        if sum(len(rows) for rows, _ in found) > _MANY * n:
            alike = np.zeros(n)
            for rows, _ in found:
                alike[rows] = _LITTLE
            return alike
        squares = np.zeros(n)
        for rows, values in found:
            squares += np.bincount(rows, values * values, minlength=n)
        return np.sqrt(squares)

    def _in_titles(self, asked: SearchWords, at: int) -> np.ndarray:
        """Return how much a word counts that is in a title, (n,) float64; where it is not, nothing."""
        n, word = len(self._snapshot), asked.words[at]
        counts, of_root = np.zeros(n), _KIN if asked.loose else _FORM
        for block in self._snapshot.title_segments():
            spans = [(block.words.beginning_with(word), _BEGUN)] if asked.is_begun(at) else []
            for form, count in ((asked.roots[at], of_root), (word, 1.0)):
                row = block.words.find(form)
                spans += [] if row is None else [(range(row, row + 1), count)]
            for span, count in spans:
                rows = block.rows_with(span)
                counts[rows if block.row_range.stop <= n else rows[rows < n]] = count
        return counts
