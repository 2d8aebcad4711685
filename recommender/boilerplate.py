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
from collections.abc import Container, Sequence

import numpy as np

LAST_LINES = 3  # of a body, whose sentences are compared, like those of the first line
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_ZEROS = re.compile(rb"00+")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[\u3002\uff01\uff1f])")
_ERRORS = "surrogatepass"


def line_keys(body: str) -> set[str]:
    """Return the lines of a body, without surrounding white space, and with 0 for each number."""
    return {key.decode(errors=_ERRORS) for key in _line_keys(body)}


def key_of(line: bytes) -> str:
    """Return the key of a line or sentence in UTF-8: stripped, and with 0 for each number."""
    return _with_zeros(line).strip().decode(errors=_ERRORS)


def sentences_of(line: str) -> list[str]:
    """Return the sentences of a line, without the white space between them."""
    return _SENTENCE_END.split(line)


def without_lines(body: str, keys: Container[str]) -> str:
    """Return a body without the lines, and the sentences of its edges, that have one of these keys.

    If nothing is left, the body is returned as it is.
    """
    lines = [line for line in body.split("\n") if _key(line) not in keys]
    filled = [at for at, line in enumerate(lines) if line.strip()]
    for at in {*filled[:1], *filled[-LAST_LINES:]}:
        sentences = sentences_of(lines[at])
        others = [sentence for sentence in sentences if _key(sentence) not in keys]
        if len(others) < len(sentences):
            lines[at] = " ".join(others)
    rest = "\n".join(lines)
    return rest if rest.strip() else body


def recurring_lines(bodies: Sequence[str], at_least: int) -> list[tuple[str, int]]:
    """Return the keys of lines in `at_least` bodies, with the number of bodies, the most frequent first.

    Keys with equal counts are in alphabetical order.
    """
    # Hashes take eight bytes a line; counting the lines themselves would need the memory of the corpus again.
    hashes, ends = array("q"), array("q")
    for body in bodies:
        hashes.extend(map(hash, _line_keys(body)))
        ends.append(len(hashes))
    values, of_line, counts = np.unique(
        np.frombuffer(hashes, dtype=np.int64), return_inverse=True, return_counts=True
    )
    lines = np.flatnonzero(counts[of_line] >= at_least)
    if not len(lines):
        return []
    frequent = set(values[counts >= at_least].tolist())
    rows = np.unique(np.searchsorted(np.frombuffer(ends, dtype=np.int64), lines, side="right")).tolist()
    counted = Counter(key for row in rows for key in _line_keys(bodies[row]) if hash(key) in frequent)
    recurring = [(key.decode(errors=_ERRORS), count) for key, count in counted.items() if count >= at_least]
    return sorted(recurring, key=lambda pair: (-pair[1], pair[0]))


def _key(line: str) -> str:
    return key_of(line.encode(errors=_ERRORS))


def _line_keys(body: str) -> set[bytes]:
    return {*map(bytes.strip, _with_zeros(body.encode(errors=_ERRORS)).split(b"\n"))} - {b""}


def _with_zeros(text: bytes) -> bytes:
    return _ZEROS.sub(b"0", text.translate(_DIGITS))
