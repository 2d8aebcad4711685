"""Spelling: a term as the articles write it, with the words that complete it."""

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator

from recommender.text import fold, unspaced_runs

# The stop words that a pair of words leaves out; a period only after a short title, such as "Rep."
_BETWEEN = r"[ \u00a0'\u2019-]+(?:\w+[ \u00a0'\u2019-]+){0,2}?"
_SUFFIX = r"\w{1,2}"  # of a stem
_WORD = r"\w[\w'\u2019-]*"
_BEFORE = re.compile(rf"{_WORD}[ \u00a0]\Z")
_AFTER = re.compile(rf"[ \u00a0]{_WORD}")
_JOINED = re.compile(r"\b\w+-\Z")
_LETTERS = re.compile(r"\w\w")
_LONGEST = 100  # letters of a word before a term
_TITLE_LETTERS = 3
_BESIDE_WORDS = 4  # that may complete a term on each side, if
_BESIDE_SHARE = 0.8  # of the occurrences of the term have the same word there,
_BESIDE_COUNT = 3  # and at least so many


def spelling(term: str, texts: Iterable[str], content: Container[str] = ()) -> str:
    """Return the most frequent spelling of a term in the texts, including the stop words inside it.

    `bureau investigation` may become `Bureau of Investigation`, and `sex marriage` `same-sex marriage`. Words
    that nearly always occur next to the term are added: `israeli prime` becomes `Israeli Prime Minister`.
    The first and the last of these words must be in `content`, or the last must have a capital. If no text
    has the term, it is returned unchanged; overlapping pairs in a script without spaces are joined.
    """
    words = term.split()
    if len(words) > 1 and unspaced_runs().fullmatch(words[0]):
        joined = words[0] + words[1][1:]
        return joined if words[0][-1:] == words[1][:1] else term
    texts = list(texts)
    if not texts:
        return term
    best = _most_frequent(words, texts, "") or _most_frequent(words, texts, _SUFFIX)
    if not best:
        return term
    return _completed(_completed(best, texts, content, before=False), texts, content, before=True)


def _most_frequent(words: list[str], texts: list[str], suffix: str) -> str:
    """Return the most frequent form of the words in the texts, empty for none."""
    between = (r"\.?" if len(words[0]) <= _TITLE_LETTERS else "") + _BETWEEN
    inside = between.join(map(re.escape, words))
    pattern = re.compile(rf"\b{inside}{suffix}\b(?:-\w+\b)?", re.IGNORECASE)
    matches = (" ".join(form.split()) for text in texts for form in _forms(pattern, words[0], text))
    forms = Counter(form for form in matches if "." not in form or form[0].isupper())
    # If two forms are equally frequent, prefer lower case: the capitals may be from a headline.
    return max(forms, key=lambda form: (forms[form], form), default="")


def _forms(pattern: re.Pattern[str], first_word: str, text: str) -> Iterator[str]:
    """Yield the matches in the text, which begin with the first word, with a word that a hyphen joins."""
    folded = text.lower().replace("ς", "σ")  # noqa: RUF001  how terms are folded
    # A search for the word is much faster than one for the pattern. In lower case, few texts are longer.
    of_pattern = (match.start() for match in pattern.finditer(text))
    end = 0
    for start in _places(first_word, folded) if len(folded) == len(text) else of_pattern:
        match = pattern.match(text, start) if start >= end else None
        if match:
            joined = text.startswith("-", start - 1) and _JOINED.search(
                text, max(end, start - _LONGEST), start
            )
            end = match.end()
            yield text[joined.start() if joined else start : end]


def _completed(form: str, texts: list[str], content: Container[str], *, before: bool) -> str:
    """Return the form with the words that nearly always occur next to it, on one side."""
    best = form
    for _ in range(_BESIDE_WORDS):
        words = Counter(word for text in texts for word in _beside(form, text, before=before))
        word, count = max(words.items(), key=lambda pair: pair[1], default=("", 0))
        if not word or count < max(_BESIDE_COUNT, _BESIDE_SHARE * words.total()):
            break
        form = word + form if before else form + word
        # A capital in front may only be that of a sentence.
        if fold(word.strip()) in content or not (before or word.strip().islower()):
            best = form
    return best


def _beside(form: str, text: str, *, before: bool) -> Iterator[str]:
    """Yield the word before or after each occurrence of the form, with the space; empty for none."""
    for start in _places(form, text):
        end = start + len(form)
        if _within_word(text, start) or _within_word(text, end):
            continue
        if before:
            word = text[start - 1 : start].strip() == "" and _BEFORE.search(
                text, max(0, start - _LONGEST), start
            )
        else:
            word = _AFTER.match(text, end)
        yield word.group() if word else ""


def _within_word(text: str, place: int) -> bool:
    """Return whether the characters before and at a place both belong to words."""
    return bool(_LETTERS.match(text, place - 1)) if place > 0 else False


def _places(part: str, text: str) -> Iterator[int]:
    """Yield the places at which a part of the text begins."""
    start = text.find(part)
    while start >= 0:
        yield start
        start = text.find(part, start + 1)
