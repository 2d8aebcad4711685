"""How many examples Hypothesis tries for a law: fewer in `make test` than in `make test-slow`."""

from hypothesis import settings

_FULL = 100  # examples of Hypothesis's default profile, which the full run uses


def examples(number: int) -> int:
    """Return how many examples to try in this run where the full run tries `number`; at least 2."""
    return max(2, number * settings().max_examples // _FULL)
