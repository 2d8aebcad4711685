"""Standing text: lines that recur in many bodies, such as disclaimers, newsletter boxes and bylines.

Such lines make unrelated articles look similar. Training learns them from the corpus, and the model contains
them, so that live articles lose the same lines. Standing text at the start or the end of a paragraph is found
by sentence, in the first and the last lines of a body. A line that is the title of another article is a link
to it. Digits count as equal, because standing text has dates and numbers in it. Texts are only compared
without these lines; they are shown as they are.
"""

import re
from array import array
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from math import ceil

import numpy as np

MAX_LINES = 1000  # that recur and that a model contains, the most frequent ones
MAX_TITLES = 20_000  # titles of other articles that a model contains
_LEAST_BODIES = 5  # with the line, and
_LEAST_SHARE = 0.01  # of all distinct bodies
_LEAST_TITLE = 15  # bytes; a shorter title may be a heading in another article
_FIRST, _LAST = 1, 3  # lines of a body whose sentences are compared
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_ZEROS = re.compile(rb"00+")
_EDGE = 3_000  # characters at each end of a body in which these lines are looked for
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[\u3002\uff01\uff1f])")
_LEAST_SENTENCE = 20  # bytes


def line_keys(body: str) -> set[str]:
    """Return the lines of a body, without surrounding white space, and with 0 for each number."""
    return {key.decode(errors=_ERRORS) for key in _line_keys(body)}


def without_lines(body: str, keys: Container[str]) -> str:
    """Return a body without the lines, and the sentences of its edges, that have one of these keys.

    If nothing is left, the body is returned as it is.
    """
    lines = [line for line in body.split("\n") if _key(line) not in keys]
    filled = [at for at, line in enumerate(lines) if line.strip()]
    for at in {*filled[:_FIRST], *filled[-_LAST:]}:
        sentences = _SENTENCE_END.split(lines[at])
        others = [sentence for sentence in sentences if _key(sentence) not in keys]
        if len(others) < len(sentences):
            lines[at] = " ".join(others)
    rest = "\n".join(lines)
    return rest if rest.strip() else body


def without_standing_lines(bodies: Sequence[str], titles: Sequence[str] = ()) -> tuple[list[str], list[str]]:
    """Return the keys of standing lines and sentences, and the bodies without them.

    These are the lines that are in 5 distinct bodies and in 1 % of them, the most frequent first; then those
    that are the title of another article; then the sentences that are in as many of the remaining bodies.
    `titles` has the title of each body.
    """
    distinct = list(dict.fromkeys(filter(None, bodies)))
    at_least = max(_LEAST_BODIES, ceil(_LEAST_SHARE * len(distinct)))
    lines = [key for key, _ in recurring_lines(distinct, at_least)[:MAX_LINES]]
    lines += sorted(_titles_of_others(bodies, titles).difference(lines))[:MAX_TITLES]
    others = _without(bodies, lines, _line_keys)
    distinct = list(dict.fromkeys(filter(None, others)))
    sentences = [key for key, _ in _recurring(distinct, at_least, _sentence_keys)[:MAX_LINES]]
    return lines + sentences, _without(others, sentences, _sentence_keys)


def recurring_lines(bodies: Sequence[str], at_least: int) -> list[tuple[str, int]]:
    """Return the keys of lines in `at_least` bodies, with the number of bodies, the most frequent first.

    Keys with equal counts are in alphabetical order.
    """
    return _recurring(bodies, at_least, _line_keys)


def _recurring(
    bodies: Sequence[str], at_least: int, keys_of: Callable[[str], set[bytes]]
) -> list[tuple[str, int]]:
    # Hashes take eight bytes a line; counting the lines themselves would need the memory of the corpus again.
    hashes, ends = array("q"), array("q")
    for body in bodies:
        hashes.extend(map(hash, keys_of(body)))
        ends.append(len(hashes))
    values, of_line, counts = np.unique(
        np.frombuffer(hashes, dtype=np.int64), return_inverse=True, return_counts=True
    )
    lines = np.flatnonzero(counts[of_line] >= at_least)
    if not len(lines):
        return []
    frequent = set(values[counts >= at_least].tolist())
    rows = np.unique(np.searchsorted(np.frombuffer(ends, dtype=np.int64), lines, side="right")).tolist()
    counted = Counter(key for row in rows for key in keys_of(bodies[row]) if hash(key) in frequent)
    recurring = [(key.decode(errors=_ERRORS), count) for key, count in counted.items() if count >= at_least]
    return sorted(recurring, key=lambda pair: (-pair[1], pair[0]))


def _without(bodies: Sequence[str], keys: Sequence[str], keys_of: Callable[[str], set[bytes]]) -> list[str]:
    if not keys:
        return list(bodies)
    known, encoded = frozenset(keys), frozenset(key.encode(errors=_ERRORS) for key in keys)
    return [body if encoded.isdisjoint(keys_of(body)) else without_lines(body, known) for body in bodies]


_ERRORS = "surrogatepass"


def _titles_of_others(bodies: Iterable[str], titles: Sequence[str]) -> set[str]:
    """Return the keys of lines that are the title of another article."""
    own_keys = [_with_zeros(title).strip() for title in titles]
    keys = {key for key in own_keys if len(key) >= _LEAST_TITLE}
    linked: set[bytes] = set()
    for body, own in zip(bodies if keys else (), own_keys, strict=bool(keys)):
        linked.update(key for key in keys.intersection(_lines(body)) if key != own)
    return {key.decode(errors=_ERRORS) for key in linked}


def _with_zeros(body: str) -> bytes:
    return _ZEROS.sub(b"0", body.encode(errors=_ERRORS).translate(_DIGITS))


def _key(line: str) -> str:
    return _with_zeros(line).strip().decode(errors=_ERRORS)


def _lines(body: str) -> Iterator[bytes]:
    return map(bytes.strip, _with_zeros(body).split(b"\n"))


def _line_keys(body: str) -> set[bytes]:
    return {*_lines(body)} - {b""}


def _sentence_keys(body: str) -> set[bytes]:
    """Return the keys of the sentences in the first and the last lines of a body."""
    first = [line for line in body[:_EDGE].split("\n") if line.strip()][:_FIRST]
    last = [line for line in body[-_EDGE:].split("\n") if line.strip()][-_LAST:]
    sentences = (sentence for line in (*first, *last) for sentence in _SENTENCE_END.split(line))
    keys = (_with_zeros(sentence).strip() for sentence in sentences)
    return {key for key in keys if len(key) >= _LEAST_SENTENCE}
