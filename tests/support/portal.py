"""The click log of an imaginary news portal: a story every ten minutes, which becomes popular and fades."""

import numpy as np

from recommender.training.backtest.click_log import Log, log_of

BEGIN = 25_001_280  # a midnight, in minutes since 1970
_EVERY = 10  # minutes


def portal(minutes: int, views_a_minute: float, seed: int = 0) -> Log:
    """Return the log of so many minutes; an article's views rise within minutes and halve within hours."""
    draw = np.random.default_rng(seed)
    published = np.arange(-360, minutes, _EVERY)
    fame = draw.pareto(1.2, len(published)) + 0.1
    half_life = draw.uniform(40, 300, len(published))
    age = np.arange(minutes)[:, None] - published
    aged = np.maximum(age, 0)
    rates = np.where(age >= 0, fame * (1 - np.exp2(-aged / 8)) * np.exp2(-aged / half_life), 0)
    read = draw.poisson(rates * views_a_minute / rates.sum(axis=1, keepdims=True))
    at, article = np.nonzero(read)
    return log_of([f"{number:04}" for number in article], BEGIN + at, read[at, article])
