"""Near-duplicates: whether two articles have the same text, as republished and corrected articles do.

Reports of one event share names, numbers and whole sentences, but few sequences of words. So texts are
compared by all their triples of neighbouring words (shingles: Broder 1997), with the same meaning in every
language and in a corpus of any size. The terms of the model would not do: rare terms, which tell two reports
apart, are not in its vocabulary.
"""

from dataclasses import dataclass

from recommender.text import words

MAX_CHARS = 100_000  # of a body that are compared
_SHARED = 1 / 2  # of the distinct triples of both texts, at least
_CONTAINED = 0.9  # or of those of the shorter text, which the longer one contains
_LEAST_TRIPLES = 10  # that both have, because short texts agree by chance

_Triples = frozenset[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class WordTriples:
    """The distinct triples of neighbouring words of a text; one or two words are one triple."""

    title: _Triples
    body: _Triples

    @classmethod
    def of(cls, title: str, body: str) -> "WordTriples":
        """Return the triples of a title and a body."""
        return cls(_triples(words(title)), _triples(words(body[:MAX_CHARS])))

    def is_same_text(self, other: "WordTriples") -> bool:
        """Return whether the bodies are equal, or share ten triples that are most of them.

        Most are half of the triples of both, or nine tenths of those of the shorter text. Without bodies, the
        titles are compared.
        """
        if not (self.body or other.body):
            return self.title == other.title != frozenset()
        if self.body == other.body:
            return True
        shared = len(self.body & other.body)
        shorter, longer = sorted((len(self.body), len(other.body)))
        is_most = shared >= _SHARED * (shorter + longer - shared) or shared >= _CONTAINED * shorter
        return is_most and shared >= _LEAST_TRIPLES


def _triples(all_words: list[str]) -> _Triples:
    if len(all_words) < 3:  # noqa: PLR2004 a triple
        return frozenset([tuple(all_words)] if all_words else [])
    return frozenset(zip(all_words, all_words[1:], all_words[2:], strict=False))
