"""Run benchmarks by name: `python -m tests.benchmarks training serving …`."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import caching, live, overload, search, serving, store, switch, training
from tests.benchmarks.quality import run as quality
from tests.benchmarks.quality.parts import PARTS

SAMPLE = Path(__file__).parents[2] / "recommender" / "sample" / "articles.jsonl"
QUALITY_FILE = Path("build") / "quality.json"

MEASURES: dict[str, Callable[[Path], None]] = {
    "training": training.measure,
    "serving": serving.measure,
    "live": live.measure,
    "store": store.measure,
    "search": search.measure,
    "caching": caching.measure,
    "overload": overload.measure,
    "switch": switch.measure,
}


def main() -> None:
    """Use the news corpus in RECOMMENDER_TEST_DATA, or the sample if it is not set."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("names", nargs="*", metavar="name", help=f"quality {' '.join(MEASURES)}")
    parser.add_argument(
        "--only", type=_parts, default=[], help="parts of quality, such as sample,dirty,links"
    )
    parser.add_argument("--json", type=Path, default=QUALITY_FILE, help="the file that quality writes")
    parser.add_argument("--before", type=Path, help="such a file of an earlier run, to compare with")
    options = parser.parse_args()
    folder = os.environ.get("RECOMMENDER_TEST_DATA")
    corpus = Path(folder) / "news.parquet" if folder else SAMPLE
    for name in options.names or ["training", "serving"]:
        if name == "quality":
            quality.measure(corpus.parent, options.only, options.json, options.before)
        else:
            MEASURES[name](corpus)


def _parts(text: str) -> list[str]:
    """Return the parts of quality in a comma-separated list."""
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in PARTS]:
        raise argparse.ArgumentTypeError(f"there is no part {unknown[0]!r}; the parts are {', '.join(PARTS)}")
    return names


if __name__ == "__main__":
    main()
