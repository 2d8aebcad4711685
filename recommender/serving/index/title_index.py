"""The words of all titles, for search: readers look for an article by what they remember of its title."""

import unicodedata
from array import array
from dataclasses import dataclass
from threading import Lock

import numpy as np

from recommender.columns import Strings
from recommender.serving.index.documents import Documents
from recommender.text import TermRules, unspaced_runs, words

_MERGE = 8  # a block takes up the one below, once that has an eighth of its titles


@dataclass(frozen=True)
class TitleBlock:
    """Some titles, word by word: each word as it is written, without accents, and as its stem."""

    words: Strings  # sorted by their bytes
    offsets: np.ndarray  # (n_words + 1,) int64; word i is in the titles of rows[offsets[i]:offsets[i + 1]]
    rows: np.ndarray  # (entries,) int32, ascending in each word
    titles: range  # the rows of all of them
    kin: Strings  # "stem word" of the words of languages in which the model takes no stems, sorted

    @classmethod
    def of(cls, documents: Documents, rules: TermRules, titles: range) -> "TitleBlock":
        """Return the words of the titles of some rows."""
        code_of: dict[str, int] = {}
        known: dict[tuple[str, str], tuple[int, ...]] = {}  # the codes of a word in a language
        kin: set[str] = set()
        codes, sizes = array("i"), array("i")
        for row in titles:
            lang, held = documents.langs[row] or rules.main_lang, set[int]()
            for word in words(documents.titles[row][: rules.max_body_chars]):
                found = known.get((word, lang))
                if found is None:
                    root = rules.root(word, lang)
                    forms = sorted(_forms(word, root))
                    found = known[word, lang] = tuple(code_of.setdefault(one, len(code_of)) for one in forms)
                    if lang in rules.unstemmed:
                        kin.add(f"{root} {word}")
                held.update(found)
            codes.extend(sorted(held))
            sizes.append(len(held))
        names = sorted(code_of, key=str.encode)
        rank = np.empty(len(names), dtype=np.int32)
        rank[[code_of[name] for name in names]] = np.arange(len(names), dtype=np.int32)
        ranks = rank[np.frombuffer(codes, dtype=np.int32)]
        rows = np.repeat(np.arange(titles.start, titles.stop, dtype=np.int32), sizes)
        offsets = np.concatenate([[0], np.cumsum(np.bincount(ranks, minlength=len(names)))])
        of_each = rows[np.argsort(ranks, kind="stable")]
        return cls(Strings.of(names), offsets, of_each, titles, Strings.of(sorted(kin, key=str.encode)))

    def holding(self, span: range) -> np.ndarray:
        """Return the rows whose titles hold any of a span of the words, each for each word."""
        return self.rows[self.offsets[span.start] : self.offsets[span.stop]]

    def kin_of(self, root: str) -> list[str]:
        """Return the words of titles that have this stem, where the model takes none."""
        return [self.kin[row].partition(" ")[2] for row in self.kin.beginning_with(f"{root} ")]


class TitleIndex:
    """The words of the titles of a model, and of the live articles as they come.

    They are read when somebody first searches. Editions of one model share them, for a row stays the same
    article in all of them.
    """

    def __init__(self) -> None:
        self._blocks: tuple[TitleBlock, ...] = ()
        self._lock = Lock()

    def of(self, documents: Documents, rules: TermRules) -> tuple[TitleBlock, ...]:
        """Return blocks that hold all rows of a shelf, and perhaps later ones."""
        if self._end < len(documents):
            with self._lock:
                if self._end < len(documents):
                    self._blocks = self._grown(documents, rules)
        return self._blocks

    @property
    def _end(self) -> int:
        return self._blocks[-1].titles.stop if self._blocks else 0

    def _grown(self, documents: Documents, rules: TermRules) -> tuple[TitleBlock, ...]:
        if not self._blocks:  # those of the model are never read twice
            self._blocks = (TitleBlock.of(documents, rules, range(len(documents.head))),)
        blocks, start = list(self._blocks), self._end
        if start == len(documents):
            return self._blocks
        while len(blocks) > 1 and _MERGE * (len(documents) - start) >= len(blocks[-1].titles):
            start = blocks.pop().titles.start
        return (*blocks, TitleBlock.of(documents, rules, range(start, len(documents))))


def _forms(word: str, root: str) -> set[str]:
    """Return what a word of a title is found as."""
    forms = {word, root}
    if not word.isascii() and not unspaced_runs().search(word):  # an accent less there is another letter
        plain = unicodedata.normalize("NFKD", word)
        forms.add("".join(char for char in plain if not unicodedata.combining(char)))
    return forms - {""}
