"""Run benchmarks by name: `python -m tests.benchmarks training serving …`."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import caching, live, overload, quality, search, serving, store, switch, training

SAMPLE = Path(__file__).parents[2] / "recommender" / "sample" / "articles.jsonl"


MEASURES: dict[str, Callable[[Path], None]] = {
    "training": training.measure,
    "serving": serving.measure,
    "live": live.measure,
    "store": store.measure,
    "search": search.measure,
    "caching": caching.measure,
    "overload": overload.measure,
    "switch": switch.measure,
    "quality": quality.measure,
}


def main() -> None:
    """Use the news corpus in RECOMMENDER_TEST_DATA, or the sample if it is not set."""
    folder = os.environ.get("RECOMMENDER_TEST_DATA")
    corpus = Path(folder) / "news.parquet" if folder else SAMPLE
    for name in sys.argv[1:] or ["training", "serving"]:
        MEASURES[name](corpus)


if __name__ == "__main__":
    main()
