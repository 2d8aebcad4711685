"""An inverted index of the words in titles, for search: readers search by what they remember of a title."""

import unicodedata
from array import array
from dataclasses import dataclass
from functools import cached_property
from threading import Lock

import numpy as np

from recommender.columns import Strings
from recommender.serving.index.documents import Documents
from recommender.serving.index.spelling import Spellings
from recommender.text import TermRules, unspaced_runs, words

_MERGE_RATIO = 8  # a new segment merges the previous one if it has at least an eighth of its titles


@dataclass(frozen=True)
class TitleSegment:
    """Posting lists of the titles of a range of rows.

    Each word is indexed as it is written, without accents, and as its stem.
    """

    words: Strings  # sorted by their bytes
    offsets: np.ndarray  # (n_words + 1,) int64; word i is in the titles of rows[offsets[i]:offsets[i + 1]]
    rows: np.ndarray  # (entries,) int32, ascending in each word
    row_range: range  # all rows whose titles are indexed
    stem_pairs: Strings  # "stem word" for each word of the languages whose terms are not stemmed, sorted

    @classmethod
    def of(cls, documents: Documents, rules: TermRules, row_range: range) -> "TitleSegment":
        """Return the index of the titles of these rows."""
        code_of: dict[str, int] = {}
        codes_of: dict[tuple[str, str], tuple[int, ...]] = {}  # of a word in a language
        stem_pairs: set[str] = set()
        codes, sizes = array("i"), array("i")
        for row in row_range:
            lang, title_codes = documents.langs[row] or rules.main_lang, set[int]()
            for word in words(documents.titles[row][: rules.max_body_chars]):
                word_codes = codes_of.get((word, lang))
                if word_codes is None:
                    stem = rules.root(word, lang)
                    forms = sorted(_forms(word, stem))
                    word_codes = tuple(code_of.setdefault(form, len(code_of)) for form in forms)
                    codes_of[word, lang] = word_codes
                    if lang in rules.unstemmed:
                        stem_pairs.add(f"{stem} {word}")
                title_codes.update(word_codes)
            codes.extend(sorted(title_codes))
            sizes.append(len(title_codes))
        names = sorted(code_of, key=str.encode)
        rank_of = np.empty(len(names), dtype=np.int32)
        rank_of[[code_of[name] for name in names]] = np.arange(len(names), dtype=np.int32)
        ranks = rank_of[np.frombuffer(codes, dtype=np.int32)]
        rows = np.repeat(np.arange(row_range.start, row_range.stop, dtype=np.int32), sizes)
        offsets = np.concatenate([[0], np.cumsum(np.bincount(ranks, minlength=len(names)))])
        return cls(
            words=Strings.of(names),
            offsets=offsets,
            rows=rows[np.argsort(ranks, kind="stable")],
            row_range=row_range,
            stem_pairs=Strings.of(sorted(stem_pairs, key=str.encode)),
        )

    def rows_with(self, span: range) -> np.ndarray:
        """Return the rows whose titles contain any word in a range of positions, once for each such word."""
        return self.rows[self.offsets[span.start] : self.offsets[span.stop]]

    @cached_property
    def spellings(self) -> Spellings:
        """The words of the titles by their letters."""
        return Spellings.of(self.words, np.diff(self.offsets))

    def words_with_stem(self, stem: str) -> list[str]:
        """Return the words in titles that have this stem, in languages whose terms are not stemmed."""
        pairs = self.stem_pairs.beginning_with(f"{stem} ")
        return [self.stem_pairs[position].partition(" ")[2] for position in pairs]


class TitleIndex:
    """The title segments of a model and of live articles, built when someone first searches.

    All snapshots of one model share them, because a row is the same article in all of them.
    """

    def __init__(self) -> None:
        self._segments: tuple[TitleSegment, ...] = ()
        self._lock = Lock()

    def of(self, documents: Documents, rules: TermRules) -> tuple[TitleSegment, ...]:
        """Return segments that contain all rows of the documents, and perhaps later rows."""
        if self._end < len(documents):
            with self._lock:
                if self._end < len(documents):
                    self._segments = self._extended(documents, rules)
        return self._segments

    @property
    def _end(self) -> int:
        return self._segments[-1].row_range.stop if self._segments else 0

    def _extended(self, documents: Documents, rules: TermRules) -> tuple[TitleSegment, ...]:
        if not self._segments:  # the segment of the model is never rebuilt
            self._segments = (TitleSegment.of(documents, rules, range(len(documents.trained))),)
        segments, start = list(self._segments), self._end
        if start == len(documents):
            return self._segments
        while len(segments) > 1 and _MERGE_RATIO * (len(documents) - start) >= len(segments[-1].row_range):
            start = segments.pop().row_range.start
        return (*segments, TitleSegment.of(documents, rules, range(start, len(documents))))


def _forms(word: str, stem: str) -> set[str]:
    """Return the forms by which a word in a title is found."""
    forms = {word, stem}
    # Not in scripts written without spaces: there, a letter without its mark is a different letter.
    if not word.isascii() and not unspaced_runs().search(word):
        plain = unicodedata.normalize("NFKD", word)
        forms.add("".join(char for char in plain if not unicodedata.combining(char)))
    return forms - {""}
