"""Messages about unknown keys of recipes and settings, with the nearest valid key."""

from collections.abc import Iterable
from difflib import get_close_matches

_SIMILAR = 0.6  # difflib's ratio from which a key is suggested


def unknown_key(key: str, valid: Iterable[str]) -> str:
    """Return `unknown key` with the valid key most like `key`, or with all valid keys if none is like it.

    Case and the difference between `-` and `_` are ignored.
    """
    valid = list(valid)
    wanted = key.lower().replace("-", "_")
    close = get_close_matches(wanted, valid, n=1, cutoff=_SIMILAR)
    return (
        f"unknown key; did you mean {close[0]}?" if close else f"unknown key; the keys are {', '.join(valid)}"
    )
