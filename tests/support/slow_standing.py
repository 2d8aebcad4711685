"""A slow and obvious implementation of `training.terms.standing`, for comparison."""

from collections import Counter
from collections.abc import Callable, Sequence
from math import ceil

from recommender.boilerplate import LAST_LINES, key_of, line_keys, sentences_of, without_lines


def slow_standing_lines(bodies: Sequence[str], titles: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the keys of standing lines and sentences, and the bodies without them."""
    distinct = list(dict.fromkeys(filter(None, bodies)))
    at_least = max(5, ceil(0.01 * len(distinct)))
    lines = _recurring(distinct, at_least, line_keys)
    own_keys = [key_of(title.encode()) for title in titles]
    known = {key for key in own_keys if len(key.encode()) >= 15}
    linked = {
        key
        for body, own in zip(bodies, own_keys, strict=True)
        for key in known & line_keys(body)
        if key != own
    }
    lines += sorted(linked.difference(lines))
    others = _without(bodies, lines, line_keys)
    sentences = _recurring(list(dict.fromkeys(filter(None, others))), at_least, _sentence_keys)
    keys = set(lines + sentences)
    return lines + sentences, [without_lines(body, keys) if keys else body for body in bodies]


def _recurring(bodies: Sequence[str], at_least: int, keys_of: Callable[[str], set[str]]) -> list[str]:
    counts = Counter(key for body in bodies for key in keys_of(body))
    return sorted(
        (key for key, count in counts.items() if count >= at_least), key=lambda key: (-counts[key], key)
    )


def _without(bodies: Sequence[str], keys: Sequence[str], keys_of: Callable[[str], set[str]]) -> list[str]:
    return [without_lines(body, set(keys)) if keys_of(body) & set(keys) else body for body in bodies]


def _sentence_keys(body: str) -> set[str]:
    first = [line for line in body[:3_000].split("\n") if line.strip()][:1]
    last = [line for line in body[-3_000:].split("\n") if line.strip()][-LAST_LINES:]
    keys = {key_of(sentence.encode()) for line in (*first, *last) for sentence in sentences_of(line)}
    return {key for key in keys if len(key.encode()) >= 20}
