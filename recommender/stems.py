"""What the forms of a word have in common: its stem, by language, and the pieces that compounds share."""

from collections.abc import Sequence
from threading import local

import Stemmer

ELLIPSIS = "…"  # stands in every piece, and in no word
_UNKNOWN_CHARS = 6  # that are left of a word in a language without a stemmer
_PIECE_CHARS = (4, 5)  # an edge of the word counts as one
_SHORTEST, _LONGEST = 2, 64  # letters of a stem

# Snowball's algorithms by the code of their language; Croatian inflects as Serbian does.
ALGORITHMS = {
    "ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "el": "greek",
    "en": "english", "eo": "esperanto", "es": "spanish", "et": "estonian", "eu": "basque", "fa": "persian",
    "fi": "finnish", "fr": "french", "ga": "irish", "hi": "hindi", "hr": "serbian", "hu": "hungarian",
    "hy": "armenian", "id": "indonesian", "it": "italian", "lt": "lithuanian", "ne": "nepali", "nl": "dutch",
    "no": "norwegian", "pl": "polish", "pt": "portuguese", "ro": "romanian", "ru": "russian",
    "sr": "serbian", "st": "sesotho", "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip
_stemmers = local()  # threads must not share one


def stem(words: Sequence[str], lang: str) -> list[str]:
    """Return the stem of each folded word; where no stemmer knows the language, its first six letters.

    A word of which next to nothing would be left stays as it is, and so does one without a language.
    """
    if not lang:
        return list(words)
    known = ALGORITHMS.get(lang)
    stems = _stemmer(known).stemWords(words) if known else [word[:_UNKNOWN_CHARS] for word in words]
    pairs = zip(stems, words, strict=True)
    return [one if _SHORTEST <= len(one) <= _LONGEST else word for one, word in pairs]


def pieces(word: str) -> list[str]:
    """Return the runs of four and five letters inside a word, an edge of it counting as a letter.

    `tide` has `tid…`, `…ide`; a word with a digit has none.
    """
    if any(map(str.isdigit, word)):
        return []
    edged = f" {word} "
    runs = [
        edged[at : at + length]
        for length in _PIECE_CHARS
        if length < len(edged)
        for at in range(len(edged) - length + 1)
    ]
    return [ELLIPSIS * (one[0] != " ") + one.strip() + ELLIPSIS * (one[-1] != " ") for one in runs]


def _stemmer(algorithm: str) -> Stemmer.Stemmer:
    found = getattr(_stemmers, algorithm, None)
    if found is None:
        found = Stemmer.Stemmer(algorithm)
        setattr(_stemmers, algorithm, found)
    return found
