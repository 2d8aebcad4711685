"""A plot that compares definitions of trending in a backtest."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from recommender.training.backtest.replay import BacktestError, BacktestReport, DefinitionResult
from recommender.training.evaluation.plots import SETTINGS

_OURS, _OTHERS, _FUTURE = "#c2410c", "#64748b", "#0f766e"
_WIDTH, _LINE = 11, 0.34  # inches
_NEVER = 60  # minutes
_SUFFIXES = (".png", ".svg")


def comparison(report: BacktestReport) -> Any:
    """Return a figure of each definition's accuracy, churn and delay; the most accurate definition first."""
    import matplotlib as mpl  # noqa: PLC0415 loaded only when drawing
    from matplotlib.figure import Figure  # noqa: PLC0415

    rows = sorted(report.rows, key=lambda row: -row.overlap)
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(_WIDTH, 1.9 + _LINE * len(rows)), layout="constrained")
        panels = figure.subplots(ncols=3, sharey=True)
    target = f"the {report.top} most-read articles of the next {_span(report.horizon_minutes)}"
    days = f"{report.begin:%-d %B} to {report.end - timedelta(minutes=1):%-d %B %Y}"
    figure.suptitle(
        f"Which definition predicts {target}?\n{days}, a new list every {_span(report.refresh_minutes)}",
        fontsize=12,
        x=0.01,
        ha="left",
    )
    top = report.top
    _bars(panels[0], rows, [top * row.overlap for row in rows], lambda value: f"{value:.2f}")
    panels[0].set_title(f"Correct, of {top}\n(higher is better)", loc="left")
    panels[0].set_xlim(0, top)
    _bars(panels[1], rows, [row.churn for row in rows], lambda value: f"{value:.2f}")
    panels[1].set_title("Replaced in each new list\n(lower is more stable)", loc="left")
    panels[1].axvline(report.truth_churn, color=_FUTURE, lw=1.2, ls="--", zorder=0)
    panels[1].text(
        report.truth_churn,
        len(rows) - 0.4,
        " the ideal list",
        color=_FUTURE,
        fontsize=9,
        va="top",
    )
    waits = [_NEVER if row.burst_minutes is None else row.burst_minutes for row in rows]
    _bars(panels[2], rows, waits, lambda value: "over an hour" if value >= _NEVER else f"{value:.0f}")
    panels[2].set_title("Minutes until a sudden story\nis listed (lower is faster)", loc="left")
    panels[2].set_xlim(0, _NEVER * 1.3)
    panels[0].set_yticks(range(len(rows)), [row.label for row in rows])
    panels[0].set_ylim(len(rows) + 0.1, -0.6)
    return figure


def save_plot(report: BacktestReport, path: str | Path) -> None:
    """Write the plot to a .png or .svg file. Raises BacktestError for other types and on write errors."""
    path = Path(path)
    if path.suffix.lower() not in _SUFFIXES:
        raise BacktestError(f"{path}: the name of a plot must end in {' or '.join(_SUFFIXES)}")
    import matplotlib as mpl  # noqa: PLC0415

    with mpl.rc_context(SETTINGS):
        try:
            comparison(report).savefig(
                path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None
            )
        except OSError as error:
            raise BacktestError(f"cannot write {path}: {error.strerror}") from error


def _bars(
    axes: Any, rows: Sequence[DefinitionResult], values: Sequence[float], label_of: Callable[[float], str]
) -> None:
    colors = [_OURS if row.name.startswith("ours") else _OTHERS for row in rows]
    bars = axes.barh(range(len(rows)), values, 0.68, color=colors)
    for label in axes.bar_label(bars, [label_of(value) for value in values], padding=3, fontsize=9):
        label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5})
    axes.margins(x=0.18)
    axes.tick_params(axis="y", length=0)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])


def _span(minutes: int) -> str:
    if minutes % 60:
        return "minute" if minutes == 1 else f"{minutes} minutes"
    return "hour" if minutes == 60 else f"{minutes // 60} hours"  # noqa: PLR2004 minutes of an hour
