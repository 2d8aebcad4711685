"""Replace the words of a corpus by their stems, and record the most frequent word of each stem."""

from dataclasses import dataclass

import numpy as np

from recommender.stems import stem
from recommender.training.kernels import Int32s, Int64s, OutInt32s, kernel
from recommender.training.terms.lexicon import Lexicon


@dataclass(frozen=True)
class StemmedWords:
    """The replaced words and their stems, by their numbers in the lexicon, language by language."""

    words: np.ndarray  # (m,) int64
    stems: np.ndarray  # (m,) int64
    times: np.ndarray  # (m,) int64, the number of occurrences

    def forms(self, lexicon: Lexicon, wanted: np.ndarray) -> dict[str, str]:
        """Return the most frequent word of each wanted stem, if it differs from the stem.

        If words are equally frequent, the word that appears first in the corpus is used.
        """
        order = np.lexsort((self.words, -self.times, self.stems))
        stems, firsts = np.unique(self.stems[order], return_index=True)
        words = self.words[order][firsts]
        changed = wanted[stems] & (words != stems)
        return dict(zip(lexicon.words(stems[changed]), lexicon.words(words[changed]), strict=True))


def stem_corpus(
    ids: np.ndarray,
    ends: np.ndarray,
    langs: np.ndarray,
    names: list[str],
    unstemmed: frozenset[str],
    lexicon: Lexicon,
) -> StemmedWords:
    """Replace each word number by that of its stem, in place; `langs` has each article's index in `names`.

    The words of article i are ids[ends[2 i]:ends[2 i + 2]]. Words of unstemmed languages are unchanged.
    """
    parts = []
    for number, lang in enumerate(names):
        times = _times(ids, ends, langs, number, len(lexicon))
        words = np.flatnonzero(times)
        stems = lexicon.number(stem(lexicon.words(words), "" if lang in unstemmed else lang))
        stem_of = np.arange(len(lexicon), dtype=np.int32)
        stem_of[words] = stems
        _replace(ids, ends, langs, number, stem_of)
        parts.append((words, stems.astype(np.int64), times[words]))
    return StemmedWords(*(np.concatenate(part) for part in zip(*parts, strict=True)))


@kernel
def _times(ids: Int32s, ends: Int64s, langs: Int32s, lang: int, words: int) -> np.ndarray:
    """Return the number of occurrences of each word in the articles of a language, (words,) int64."""
    times = np.zeros(words, dtype=np.int64)
    for article in range(len(langs)):
        if langs[article] == lang:
            for at in range(ends[2 * article], ends[2 * article + 2]):
                times[ids[at]] += 1
    return times


@kernel
def _replace(ids: OutInt32s, ends: Int64s, langs: Int32s, lang: int, by: Int32s) -> None:
    """Replace the words of the articles of a language, in place."""
    for article in range(len(langs)):
        if langs[article] == lang:
            for at in range(ends[2 * article], ends[2 * article + 2]):
                ids[at] = by[ids[at]]
