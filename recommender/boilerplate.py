"""Standing text: lines that recur in many bodies, such as disclaimers, newsletter boxes and bylines.

Such lines make unrelated articles look similar. Training learns them from the corpus, and the model contains
them, so that live articles lose the same lines. Digits count as equal, because standing text has dates and
numbers in it. Texts are only compared without these lines; they are shown as they are.
"""

import re
from array import array
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from math import ceil

import numpy as np

MAX_LINES = 1000  # that a model contains, the most frequent ones
_LEAST_BODIES = 5  # with the line, and
_LEAST_SHARE = 0.01  # of all distinct bodies
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_ZEROS = re.compile(rb"00+")


def line_keys(body: str) -> set[str]:
    """Return the lines of a body, without surrounding white space, and with 0 for each number."""
    return {key.decode(errors=_ERRORS) for key in _keys(body)}


def without_lines(body: str, keys: Container[str]) -> str:
    """Return a body without the lines that have one of these keys; if none would be left, with all."""
    own = [key.strip().decode(errors=_ERRORS) for key in _with_zeros(body).split(b"\n")]
    if not any(key in keys for key in own):
        return body
    others = [line for line, key in zip(body.split("\n"), own, strict=True) if key not in keys]
    return "\n".join(others) if any(map(str.strip, others)) else body


def without_standing_lines(bodies: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the keys of standing lines, the most frequent first, and the bodies without these lines.

    They are the lines that are in 5 distinct bodies and in 1 % of them.
    """
    distinct = list(dict.fromkeys(filter(None, bodies)))
    at_least = max(_LEAST_BODIES, ceil(_LEAST_SHARE * len(distinct)))
    standing = [key for key, _ in recurring_lines(distinct, at_least)[:MAX_LINES]]
    if not standing:
        return [], list(bodies)
    keys, encoded = frozenset(standing), frozenset(key.encode(errors=_ERRORS) for key in standing)
    return standing, [
        body if encoded.isdisjoint(_lines(body)) else without_lines(body, keys) for body in bodies
    ]


def recurring_lines(bodies: Sequence[str], at_least: int) -> list[tuple[str, int]]:
    """Return the keys of lines in `at_least` bodies, with the number of bodies, the most frequent first.

    Keys with equal counts are in alphabetical order.
    """
    # Hashes take eight bytes a line; counting the lines themselves would need the memory of the corpus again.
    hashes, ends = array("q"), array("q")
    for body in bodies:
        hashes.extend(map(hash, _keys(body)))
        ends.append(len(hashes))
    values, of_line, counts = np.unique(
        np.frombuffer(hashes, dtype=np.int64), return_inverse=True, return_counts=True
    )
    lines = np.flatnonzero(counts[of_line] >= at_least)
    if not len(lines):
        return []
    frequent = set(values[counts >= at_least].tolist())
    rows = np.unique(np.searchsorted(np.frombuffer(ends, dtype=np.int64), lines, side="right")).tolist()
    counted = Counter(key for row in rows for key in _keys(bodies[row]) if hash(key) in frequent)
    recurring = [(key.decode(errors=_ERRORS), count) for key, count in counted.items() if count >= at_least]
    return sorted(recurring, key=lambda pair: (-pair[1], pair[0]))


_ERRORS = "surrogatepass"


def _with_zeros(body: str) -> bytes:
    return _ZEROS.sub(b"0", body.encode(errors=_ERRORS).translate(_DIGITS))


def _lines(body: str) -> Iterator[bytes]:
    return map(bytes.strip, _with_zeros(body).split(b"\n"))


def _keys(body: str) -> set[bytes]:
    return {*_lines(body)} - {b""}
