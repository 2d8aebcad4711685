"""A complete training compared with scikit-learn's brute force on the same corpus, one after the other."""

import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.processes import RECOMMENDER, Usage, watch

K = 20


def measure(corpus: Path) -> None:
    """Print the time and memory of both, and their ratio."""
    with tempfile.TemporaryDirectory() as models:
        ours = watch(RECOMMENDER, "train", str(corpus), "--models-dir", models)
    plain = watch(sys.executable, "-m", "tests.benchmarks.brute_force", str(corpus), str(K))
    table = Table(
        "", "seconds", "peak MiB", title=f"{corpus.name}: read, vectors, neighbours of every article"
    )
    table.add_row("recommender train (k = 100, latent space, topics, published)", *_figures(ours))
    table.add_row(f"scikit-learn TF-IDF + NearestNeighbors (k = {K})", *_figures(plain))
    table.add_row("ratio", f"{ours.seconds / plain.seconds:.2f}", f"{ours.peak_mib / plain.peak_mib:.2f}")
    Console().print(table)


def _figures(usage: Usage) -> tuple[str, str]:
    return f"{usage.seconds:.1f}", f"{usage.peak_mib:,.0f}"
