"""Standing text: lines that recur in many bodies, such as disclaimers, newsletter boxes and bylines.

Such lines make unrelated articles look similar. Training learns them from the corpus, and the model contains
them, so that live articles lose the same lines. Digits count as equal, because standing text has dates and
numbers in it. Texts are only compared without these lines; they are shown as they are.
"""

import re
from array import array
from collections import Counter
from collections.abc import Container, Sequence
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


def standing_lines(bodies: Sequence[str]) -> list[str]:
    """Return the keys of lines that are in 5 distinct bodies and in 1 % of them, the most frequent first."""
    distinct = list(dict.fromkeys(filter(None, bodies)))
    at_least = max(_LEAST_BODIES, ceil(_LEAST_SHARE * len(distinct)))
    return [key for key, _ in recurring_lines(distinct, at_least)[:MAX_LINES]]


def recurring_lines(bodies: Sequence[str], at_least: int) -> list[tuple[str, int]]:
    """Return the keys of lines in `at_least` bodies, with the number of bodies, the most frequent first.

    Keys with equal counts are in alphabetical order.
    """
    # Hashes take eight bytes a line; counting the lines themselves would need the memory of the corpus again.
    hashes = array("q", (hash(key) for body in bodies for key in _keys(body)))
    values, counts = np.unique(np.frombuffer(hashes, dtype=np.int64), return_counts=True)
    frequent = set(values[counts >= at_least].tolist())
    if not frequent:
        return []
    counted = Counter(key for body in bodies for key in _keys(body) if hash(key) in frequent)
    recurring = [(key.decode(errors=_ERRORS), count) for key, count in counted.items() if count >= at_least]
    return sorted(recurring, key=lambda pair: (-pair[1], pair[0]))


_ERRORS = "surrogatepass"


def _with_zeros(body: str) -> bytes:
    return _ZEROS.sub(b"0", body.encode(errors=_ERRORS).translate(_DIGITS))


def _keys(body: str) -> set[bytes]:
    return {key for line in _with_zeros(body).split(b"\n") if (key := line.strip())}
