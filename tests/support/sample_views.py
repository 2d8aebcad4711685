"""The views of the sample newsroom, made up: `python -m tests.support.sample_views` writes them again."""

import numpy as np
import pandas as pd

from recommender.sample_files import sample_file
from recommender.training.readers.corpus import read_articles

BEGIN, DAYS = "2026-09-21T00:00Z", 4
VIEWS_A_MINUTE = 6
RISES_EVERY = 12  # minutes: a story of the archive is shared and read again


def views(seed: int = 0) -> pd.DataFrame:
    """Return views by `ts` and `article_id`: stories rise within minutes and fade within hours."""
    draw = np.random.default_rng(seed)
    stories = read_articles(sample_file()).articles
    begin = pd.Timestamp(BEGIN)
    dates = pd.Series([article.published_at or pd.Timestamp(0, tz="UTC") for article in stories])
    published = np.asarray((dates - begin) / pd.Timedelta(minutes=1))
    minutes = np.arange(DAYS * 1440)
    shared = np.arange(-360, len(minutes), RISES_EVERY)
    story = np.array([draw.choice(np.flatnonzero(published < max(minute, 0))) for minute in shared])
    new = np.flatnonzero(published >= 0)
    shared, story = np.append(shared, published[new]), np.append(story, new)
    fame = (draw.pareto(1.3, len(shared)) + 0.1) * np.where(published[story] >= 0, 3, 1)
    age = minutes[:, None] - shared
    fading = np.exp2(-np.maximum(age, 0) / draw.uniform(40, 300, len(shared)))
    rates = np.where(age >= 0, fame * (1 - np.exp2(-np.maximum(age, 0) / 8)) * fading, 0)
    awake = 1 - 0.9 * np.cos((minutes - 180) * 2 * np.pi / 1440)  # fewest readers at three in the morning
    read = draw.poisson(rates * (VIEWS_A_MINUTE * awake / rates.sum(axis=1))[:, None])
    at, rise = np.nonzero(read)
    times = begin + pd.to_timedelta(np.repeat(at, read[at, rise]), unit="min")
    ids = np.array([article.id for article in stories])[story[np.repeat(rise, read[at, rise])]]
    return pd.DataFrame({"ts": times.as_unit("s"), "article_id": ids})


def main() -> None:
    """Write the file."""
    frame = views().astype({"article_id": "category"})
    frame.to_parquet(sample_file().with_name("views.parquet"), index=False, compression="zstd")


if __name__ == "__main__":
    main()
