"""Spelling: a term as the articles write it, with the words that complete it."""

import re
from collections import Counter
from collections.abc import Container, Iterable

from recommender.text import fold, unspaced_runs

# The stop words that a pair of words leaves out; a period only after a short title, such as "Rep."
_BETWEEN = r"[ \u00a0'\u2019-]+(?:\w+[ \u00a0'\u2019-]+){0,2}?"
_SUFFIX = r"\w{1,2}"  # of a stem
_WORD = r"\w[\w'\u2019-]*"
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
    best = _most_frequent(words, texts, "") or _most_frequent(words, texts, _SUFFIX)
    if not best:
        return term
    return _completed(_completed(best, texts, content, before=False), texts, content, before=True)


def _most_frequent(words: list[str], texts: list[str], suffix: str) -> str:
    """Return the most frequent form of the words in the texts, empty for none."""
    between = (r"\.?" if len(words[0]) <= _TITLE_LETTERS else "") + _BETWEEN
    inside = between.join(map(re.escape, words))
    pattern = re.compile(rf"(?:\b\w+-)?\b{inside}{suffix}\b(?:-\w+\b)?", re.IGNORECASE)
    matches = (" ".join(form.split()) for text in texts for form in pattern.findall(text))
    forms = Counter(form for form in matches if "." not in form or form[0].isupper())
    # If two forms are equally frequent, prefer lower case: the capitals may be from a headline.
    return max(forms, key=lambda form: (forms[form], form), default="")


def _completed(form: str, texts: list[str], content: Container[str], *, before: bool) -> str:
    """Return the form with the words that nearly always occur next to it, on one side."""
    best = form
    for _ in range(_BESIDE_WORDS):
        own = rf"\b{re.escape(form)}\b"
        beside = rf"((?:{_WORD}[ \u00a0])?){own}" if before else rf"{own}((?:[ \u00a0]{_WORD})?)"
        words = Counter(word for text in texts for word in re.findall(beside, text))
        word, count = max(words.items(), key=lambda pair: pair[1], default=("", 0))
        if not word or count < max(_BESIDE_COUNT, _BESIDE_SHARE * words.total()):
            break
        form = word + form if before else form + word
        # A capital in front may only be that of a sentence.
        if fold(word.strip()) in content or not (before or word.strip().islower()):
            best = form
    return best
