"""Replace the words of a corpus by their stems, and record the most frequent word of each stem."""

from dataclasses import dataclass

import numpy as np

from recommender.stems import stem
from recommender.training.kernels import Int32s, Int64s, OutInt32s, kernel
from recommender.training.terms.lexicon import Lexicon
from recommender.training.terms.reading import Words

_WORDS_AT_A_TIME = 100_000  # as strings in memory


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
        if np.array_equal(self.words, self.stems):
            return {}
        order = np.lexsort((self.words, -self.times, self.stems))
        stems, firsts = np.unique(self.stems[order], return_index=True)
        words = self.words[order][firsts]
        changed = wanted[stems] & (words != stems)
        return dict(zip(lexicon.words(stems[changed]), lexicon.words(words[changed]), strict=True))


def stem_words(words: Words, unstemmed: frozenset[str]) -> StemmedWords:
    """Replace each word number by that of its stem, in place; words of unstemmed languages are unchanged."""
    lexicon = words.lexicon
    parts = []
    for number, lang in enumerate(words.names):
        times = _times(words.ids, words.ends, words.langs, number, len(lexicon))
        used = np.flatnonzero(times)
        stems = used
        if lang and lang not in unstemmed:
            stems = _stems(lexicon, used, lang)
            stem_of = np.arange(len(lexicon), dtype=np.int32)
            stem_of[used] = stems
            _replace(words.ids, words.ends, words.langs, number, stem_of)
        parts.append((used, stems, times[used]))
    return StemmedWords(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _stems(lexicon: Lexicon, words: np.ndarray, lang: str) -> np.ndarray:
    """Return the numbers of the stems of these words, (m,) int64; new stems are added."""
    chunks = np.split(words, range(_WORDS_AT_A_TIME, len(words), _WORDS_AT_A_TIME))
    stems = [lexicon.number(stem(lexicon.words(chunk), lang)) for chunk in chunks]
    return np.concatenate(stems).astype(np.int64)


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
