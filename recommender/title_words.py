"""An inverted index of the words in titles, for search: readers search by what they remember of a title."""

import unicodedata
from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from recommender.columns import Strings
from recommender.text import TermRules, unspaced_runs, words


@dataclass(frozen=True)
class TitleWords:
    """Posting lists of the words in the titles of consecutive rows.

    Each word is indexed as it is written, without accents, and as its stem.
    """

    words: Strings  # sorted by their bytes
    offsets: np.ndarray  # (n_words + 1,) int64; word i is in the titles of rows[offsets[i]:offsets[i + 1]]
    rows: np.ndarray  # (entries,) int32, ascending in each word
    stem_pairs: Strings  # "stem word" for each word of the languages whose terms are not stemmed, sorted

    @classmethod
    def of(
        cls, titles: Iterable[tuple[str, str | None]], rules: TermRules, first_row: int = 0
    ) -> "TitleWords":
        """Return the index of the titles, each with its language, of the rows from `first_row` on."""
        code_of: dict[str, int] = {}
        codes_of: dict[str, dict[str, tuple[int, ...]]] = {}  # of a word, by language
        stem_pairs: set[str] = set()
        codes, sizes = array("i"), array("i")
        for title, named in titles:
            lang = named or rules.main_lang
            known = codes_of.setdefault(lang, {})
            words_of_title = words(title[: rules.max_body_chars])
            for word in words_of_title:
                if word in known:
                    continue
                stem = rules.root(word, lang)
                forms = sorted(_forms(word, stem))
                known[word] = tuple(code_of.setdefault(form, len(code_of)) for form in forms)
                if lang in rules.unstemmed:
                    stem_pairs.add(f"{stem} {word}")
            title_codes = sorted({code for word in words_of_title for code in known[word]})
            codes.extend(title_codes)
            sizes.append(len(title_codes))
        names = sorted(code_of, key=str.encode)
        rank_of = np.empty(len(names), dtype=np.int32)
        rank_of[[code_of[name] for name in names]] = np.arange(len(names), dtype=np.int32)
        ranks = rank_of[np.frombuffer(codes, dtype=np.int32)]
        rows = np.repeat(np.arange(first_row, first_row + len(sizes), dtype=np.int32), sizes)
        counts = np.bincount(ranks, minlength=len(names))
        return cls(
            words=Strings.of(names),
            offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            rows=rows[np.argsort(ranks, kind="stable")],
            stem_pairs=Strings.of(sorted(stem_pairs, key=str.encode)),
        )

    def rows_with(self, span: range) -> np.ndarray:
        """Return the rows whose titles contain any word in a range of positions, once for each such word."""
        return self.rows[self.offsets[span.start] : self.offsets[span.stop]]

    def words_with_stem(self, stem: str) -> list[str]:
        """Return the words in titles that have this stem, in languages whose terms are not stemmed."""
        pairs = self.stem_pairs.beginning_with(f"{stem} ")
        return [self.stem_pairs[position].partition(" ")[2] for position in pairs]


def _forms(word: str, stem: str) -> set[str]:
    """Return the forms by which a word in a title is found."""
    forms = {word, stem}
    # Not in scripts written without spaces: there, a letter without its mark is a different letter.
    if not word.isascii() and not unspaced_runs().search(word):
        plain = unicodedata.normalize("NFKD", word)
        forms.add("".join(char for char in plain if not unicodedata.combining(char)))
    return forms - {""}
