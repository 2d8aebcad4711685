"""Soak the service: `python -m tests.soak --minutes 10`, which is `make soak`."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from tests.soak.run import report, soak, tables

_WORKERS = (2, 4)


def main() -> None:
    """Soak a server with two workers, then one with four; exit with 1 after any fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=main.__doc__)
    parser.add_argument("--minutes", type=_minutes, default=10.0, help="of load, for both; default: 10")
    parser.add_argument("--json", type=Path, default=Path("build/soak.json"), help="the report to write")
    options = parser.parse_args()
    console, runs = Console(), []
    for workers in _WORKERS:
        runs.append(soak(60 * options.minutes / len(_WORKERS), workers))
        for table in tables(runs[-1]):
            console.print(table)
        for fault in runs[-1].faults:
            console.print(fault, style="red", markup=False)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(report(runs), encoding="utf-8")
    console.print(f"{options.json}: {'failed' if any(run.faults for run in runs) else 'no fault'}")
    if any(run.faults for run in runs):
        sys.exit(1)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0
    if not 0 < minutes <= 24 * 60:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes, at most a day")
    return minutes


if __name__ == "__main__":
    main()
