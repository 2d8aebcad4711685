"""`python -m tests.benchmarks [training] [serving]`: measure, and print tables."""

import os
import sys
from pathlib import Path

from tests.benchmarks import serving, training

SAMPLE = Path(__file__).parents[2] / "recommender" / "sample" / "articles.jsonl"


def main() -> None:
    """Measure on the news corpus of RECOMMENDER_TEST_DATA, or on the sample without it."""
    folder = os.environ.get("RECOMMENDER_TEST_DATA")
    corpus = Path(folder) / "news.parquet" if folder else SAMPLE
    for name in sys.argv[1:] or ["training", "serving"]:
        {"training": training.measure, "serving": serving.measure}[name](corpus)


if __name__ == "__main__":
    main()
