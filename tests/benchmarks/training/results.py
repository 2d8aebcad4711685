"""The results of the benchmark as a table and as JSON."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
from rich.table import Table

from tests.benchmarks.training.growth import Growth
from tests.benchmarks.training.peers import PEERS
from tests.benchmarks.training.systems import OURS, Comparison, K, System

FORMAT = 1
_FIGURES = ("seconds", "cpu_seconds", "peak_mib")


def table(comparison: Comparison) -> Table:
    """Return a row for each system; the ratios are ours divided by the peer's."""
    ours, *peers = comparison.systems
    every = f", every {comparison.query_step}th article queried" if comparison.query_step > 1 else ""
    title = (
        f"{comparison.corpus}: {comparison.articles:,} articles of {comparison.mean_words:.0f} words; "
        f"peers find {K} each{every}; median of {len(ours.runs)}"
    )
    quality = f"nDCG@9 of {ours.queries:,}" if ours.quality else "nDCG@9"
    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    for heading in ("seconds", "ratio", "CPU seconds", "ratio", "peak MiB", "ratio", quality):
        table.add_column(heading, justify="right")
    table.add_row("recommender train", *_cells(ours, ours))
    for step, seconds in ours.steps().items():
        table.add_row(f"  {step}", f"{seconds:.1f}", style="dim")
    for peer in peers:
        title = PEERS[peer.name].title
        table.add_row(title, *(["failed"] if peer.error else _cells(peer, ours)))
    for name in comparison.missing:
        table.add_row(PEERS[name].title, "missing")
    if comparison.missing:
        table.caption = missing_note(comparison.missing)
    return table


def missing_note(missing: dict[str, list[str]]) -> str:
    """Return which peers were not measured, and how to install them."""
    packages = sorted({package for needed in missing.values() for package in needed})
    return f"Not installed: {', '.join(missing)}. To measure them: pip install {' '.join(packages)}"


def document(
    comparisons: Sequence[Comparison], growth: Growth | None, measured_at: datetime
) -> dict[str, Any]:
    """Return everything that was measured, with every run, as JSON."""
    return {
        "format": FORMAT,
        "measured_at": measured_at.isoformat(timespec="seconds"),
        "machine": _machine(),
        "corpora": [_corpus(comparison) for comparison in comparisons],
        "growth": growth and growth.document(),
    }


def _corpus(comparison: Comparison) -> dict[str, Any]:
    ours = comparison.systems[0]
    return {
        "corpus": comparison.corpus,
        "articles": comparison.articles,
        "mean_words": round(comparison.mean_words, 1),
        "query_step": comparison.query_step,
        "systems": {system.name: _system(system, ours) for system in comparison.systems},
        "missing": comparison.missing,
    }


def _system(system: System, ours: System) -> dict[str, Any]:
    if system.error:
        return {"error": system.error}
    ratios = {figure: round(system.ratio_of(ours, figure), 4) for figure in _FIGURES}
    return {
        **{figure: round(system.median(figure), 2) for figure in _FIGURES},
        "steps": {step: round(seconds, 2) for step, seconds in system.steps().items()},
        **({} if system.name == OURS else {"ours_divided_by_it": ratios}),
        "quality": {name: round(value, 4) for name, value in system.quality.items()},
        "labelled_queries": system.queries,
        "runs": [asdict(run) for run in system.runs],
    }


def _cells(system: System, ours: System) -> list[str]:
    cells = []
    for figure in _FIGURES:
        cells.append(f"{system.median(figure):,.{0 if figure == 'peak_mib' else 1}f}")
        cells.append("" if system is ours else f"{system.ratio_of(ours, figure):.2f}")
    quality = system.quality.get("ndcg_at_9")
    return [*cells, "" if quality is None else f"{quality:.4f}".removeprefix("0")]


def _machine() -> dict[str, Any]:
    packages = {package for peer in PEERS.values() for package in peer.modules.values()}
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / (1 << 30), 1),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in sorted(packages | {"numba", "numpy", "scipy"})},
    }


def _processor() -> str:
    """Return the model of the processor as Linux names it, or the architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
