"""Run benchmarks by name: `python -m tests.benchmarks training serving …`, or build a large corpus for them.

`python -m tests.benchmarks corpus OUT.jsonl --articles 642511 --words 210` builds the corpus.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from recommender.training.readers.corpus import read_articles
from tests.benchmarks import caching, changes, live, overload, search, store, switch
from tests.benchmarks.quality import run as quality
from tests.benchmarks.quality.parts import PARTS
from tests.benchmarks.serving import run as serving
from tests.benchmarks.training import run as training
from tests.benchmarks.training import steps
from tests.benchmarks.training.archive import ArchiveError, write_archive
from tests.benchmarks.training.corpora import SAMPLE
from tests.benchmarks.training.growth import SIZES
from tests.benchmarks.training.peers import PEERS

BUILD = Path("build")
SOURCES = ("news.parquet", "encyclopedia.parquet")  # of a large corpus

MEASURES: dict[str, Callable[[Path], None]] = {
    "live": live.measure,
    "store": store.measure,
    "search": search.measure,
    "steps": steps.measure,
    "caching": caching.measure,
    "changes": changes.measure,
    "overload": overload.measure,
    "switch": switch.measure,
}


def main(arguments: Sequence[str]) -> None:
    """Use the corpora in RECOMMENDER_TEST_DATA, or the sample if it is not set."""
    data = os.environ.get("RECOMMENDER_TEST_DATA")
    folder = Path(data) if data else None
    if arguments[:1] == ["corpus"]:
        build_corpus(arguments[1:], folder)
        return
    parser = _parser()
    options = parser.parse_args(arguments)
    corpus = folder / "news.parquet" if folder else SAMPLE
    names = options.names or ["training", "serving"]
    for name in names:
        parts: Sequence[str] = {"quality": tuple(PARTS), "training": training.PARTS}.get(name, ())
        if unknown := [part for part in options.only if part not in parts]:
            parser.error(f"{name} has no part {unknown[0]!r}; the parts are {', '.join(parts) or 'none'}")
    for name in names:
        output = options.json or BUILD / f"{name}.json"
        if name == "quality":
            quality.measure(corpus.parent, options.only, output, options.before)
        elif name == "training":
            # Without any name, half an hour of other corpora would come as a surprise.
            only = options.only or (training.PARTS if options.names else ("sample", "news"))
            training.measure(folder, _training_options(options, output, only))
        elif name == "serving":
            figures = serving.Options(
                output, BUILD / "serving-latency.svg", options.rounds, options.models_dir
            )
            serving.measure(corpus, figures)
        else:
            MEASURES[name](options.corpus[0] if options.corpus else corpus)


def build_corpus(arguments: Sequence[str], folder: Path | None) -> None:
    """Write a corpus of any size, which `tests/benchmarks/training/archive.py` describes."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks corpus", description=build_corpus.__doc__
    )
    parser.add_argument("output", type=Path, help="the file of JSON lines to write")
    parser.add_argument("--articles", type=_positive, default=642_511)
    parser.add_argument("--words", type=_positive, default=210, help="the mean of an article")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--source",
        type=Path,
        action="append",
        help="a corpus to make posts from; default: news and encyclopedia in RECOMMENDER_TEST_DATA",
    )
    options = parser.parse_args(arguments)
    sources = options.source or [folder / name for name in SOURCES if folder]
    if not sources:
        parser.error("set RECOMMENDER_TEST_DATA, or name a --source")
    articles = [article for source in sources for article in read_articles(source).articles]
    try:
        mean = write_archive(options.output, articles, options.articles, options.words, options.seed)
    except ArchiveError as error:
        sys.exit(f"{options.output}: {error}")
    print(f"{options.output}: {options.articles:,} articles of {mean:.1f} words on average")  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=main.__doc__)
    names = ["quality", "training", "serving", *MEASURES]
    parser.add_argument(
        "names", nargs="*", metavar="name", type=_one_of("benchmark", names), help=" ".join(names)
    )
    parser.add_argument(
        "--only", type=_list_of(str), default=[], help="parts, such as sample,dirty,links or sample,news"
    )
    parser.add_argument(
        "--json", type=Path, help="the file that quality, serving or training writes; default: in build/"
    )
    parser.add_argument("--before", type=Path, help="quality: such a file of an earlier run, to compare with")
    parser.add_argument(
        "--models-dir", type=Path, help="serving: measure the current model there, and train none"
    )
    group = parser.add_argument_group("training")
    group.add_argument("--corpus", type=Path, action="append", default=[], help="measure this file only")
    group.add_argument("--labels", type=Path, help="labels of --corpus in CSV")
    group.add_argument(
        "--peers", type=_list_of(_one_of("peer", PEERS)), default=list(PEERS), help=",".join(PEERS)
    )
    group.add_argument("--rounds", type=_positive, default=3, help="how often each system runs, in turn")
    group.add_argument("--query-step", type=_positive, help="peers query every n-th article")
    group.add_argument(
        "--plot", type=Path, default=BUILD / "training-growth.svg", help="SVG or PNG of the growth"
    )
    group.add_argument(
        "--sizes", type=_list_of(_positive), default=SIZES, help="articles at which growth is measured"
    )
    return parser


def _training_options(options: argparse.Namespace, output: Path, only: Sequence[str]) -> training.Options:
    return training.Options(
        json=output,
        plot=options.plot,
        only=only,
        files=options.corpus,
        labels=options.labels,
        peers=options.peers,
        rounds=options.rounds,
        query_step=options.query_step,
        sizes=options.sizes,
    )


def _one_of(kind: str, names: Iterable[str]) -> Callable[[str], str]:
    known = list(names)

    def checked(name: str) -> str:
        if name not in known:
            raise argparse.ArgumentTypeError(f"there is no {kind} {name!r}; choose from {', '.join(known)}")
        return name

    return checked


def _list_of(convert: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    """Return a converter of a comma-separated list."""
    return lambda text: [convert(entry.strip()) for entry in text.split(",") if entry.strip()]


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


if __name__ == "__main__":
    main(sys.argv[1:])
