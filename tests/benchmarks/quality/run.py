"""Run the parts of the benchmark; print one table and write one JSON file."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recommender.training.evaluation.evaluate import Estimate
from tests.benchmarks.quality.parts import PARTS
from tests.benchmarks.quality.results import OURS, Result
from tests.benchmarks.quality.systems import PEERS

BEFORE = "before"
_LABELS = {"ndcg_at_9": "nDCG@9", "recall_at_9": "recall@9", "precision_at_1": "first"}
_INTERVAL = len("+.000 [+.000,+.000]")


def measure(folder: Path, only: Sequence[str], output: Path, before: Path | None) -> None:
    """Measure these parts, or all if none is named; parts whose files are not in the folder are skipped.

    `before` is the JSON file of an earlier run, whose lists are compared with today's query by query.
    """
    earlier = _earlier(before) if before else {}
    rows: list[dict[str, Any]] = []
    _say(heading())
    for name in only or PARTS:
        if missing := [file for file in PARTS[name].needs if not (folder / file).exists()]:
            _say(f"{name} skipped: {', '.join(missing)} not in {folder}; set RECOMMENDER_TEST_DATA")
            continue
        start = time.perf_counter()
        for result in PARTS[name].measure(folder):
            row = summary(_with_earlier(result, earlier))
            rows.append(row)
            _say("\n".join(lines(row)))
        _say(f"({name}: {time.perf_counter() - start:.0f} s)")
    output.parent.mkdir(parents=True, exist_ok=True)
    document = {"format": 1, "measured_at": datetime.now(UTC).isoformat(timespec="seconds"), "results": rows}
    output.write_text(json.dumps(document, ensure_ascii=False) + "\n", encoding="utf-8")
    _say(f"{output} has the values of every query")


def summary(result: Result) -> dict[str, Any]:
    """Return a result as JSON: of each system, the paired differences, and the values of all queries."""
    others = [system for system in result.values if system != OURS]
    return {
        "corpus": result.corpus,
        "measure": result.measure,
        "count": len(result),
        "results": {system: result.result(system) for system in result.values},
        "ours_minus": {system: result.ours_minus(system).model_dump() for system in others},
        "queries": list(result.queries),
        "values": {system: [round(value, 6) for value in values] for system, values in result.values.items()},
    }


def heading() -> str:
    """Return the first line of the table."""
    names = [name.removesuffix(" TF-IDF") for name in PEERS]
    peers = " ".join(f"{f'{name:<6} ours - it [95 %]':<{_INTERVAL + 6}}" for name in names)
    return f"{'':<34} {'n':>4} {'ours':<5} {peers}".rstrip()


def lines(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a summary: one with scikit-learn's systems, and one for each other system."""
    peers = " ".join(_cells(row, name) for name in PEERS if name in row["results"])
    measure = _LABELS.get(row["measure"], row["measure"])
    ours = _figure(row["results"][OURS])
    yield f"{row['corpus']:<25} {measure:<8} {row['count']:>4} {ours} {peers}".rstrip()
    for name in row["ours_minus"]:
        if name not in PEERS:
            yield f"{'':<25} {name:<19} {_cells(row, name)}".rstrip()


def _cells(row: Mapping[str, Any], system: str) -> str:
    difference = Estimate.model_validate(row["ours_minus"][system])
    interval = f"{_signed(difference.mean)} [{_signed(difference.low)},{_signed(difference.high)}]"
    return f"{_figure(row['results'][system])} {interval:<{_INTERVAL}}"


def _figure(value: float) -> str:
    return f"{value:.4f}"[:5] if value >= 1 else f"{value:.4f}".removeprefix("0")


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("0.", ".", 1)


def _earlier(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    document = json.loads(path.read_text(encoding="utf-8"))
    return {(row["corpus"], row["measure"]): row for row in document["results"]}


def _with_earlier(result: Result, earlier: Mapping[tuple[str, str], dict[str, Any]]) -> Result:
    """Add our values of an earlier run as another system, if it measured the same queries."""
    row = earlier.get((result.corpus, result.measure))
    if row is None:
        return result
    if row["queries"] != list(result.queries):
        _say(f"{result.corpus}, {result.measure}: not compared, because the earlier run had other queries")
        return result
    return replace(result, values={**result.values, BEFORE: row["values"][OURS]})


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 results go to stdout, one part at a time
