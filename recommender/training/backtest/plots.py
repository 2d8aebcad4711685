"""Plots of a backtest: the definitions of trending, and the half-lives."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from recommender.training.backtest.replay import BacktestError
from recommender.training.backtest.report import BacktestReport, DefinitionResult, HalfLifeResult
from recommender.training.evaluation.plots import GREY, PALETTE, SETTINGS, subplots

_OURS, _NDCG, _FUTURE = PALETTE[:3]
_WIDTH, _LINE = 11, 0.34  # inches
_NEVER = 60  # minutes
_SUFFIXES = (".png", ".svg")


def plot_definitions(report: BacktestReport) -> Any:
    """Return a figure of each definition's accuracy, churn and delay; the most accurate definition first.

    >>> figure = recommender.plot_definitions(backtest_report)
    """
    rows = sorted(report.rows, key=lambda row: -row.overlap)
    figure, panels = subplots(_WIDTH, 1.9 + _LINE * len(rows), columns=3)
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


def plot_half_lives(report: BacktestReport) -> Any:
    """Return a figure of accuracy and churn by half-life, on the part of the log used for fitting.

    Hollow points are half-lives whose lists change too often. Raises BacktestError if nothing was fitted.

    >>> figure = recommender.plot_half_lives(backtest_report)
    """
    results = report.half_lives
    if not results:
        raise BacktestError("no half-life was fitted; the log is too short, or fitting is disabled")
    figure, (accuracy, churn) = subplots(_WIDTH, 4, columns=2, sharey=False)
    _curve(accuracy, results, "overlap", _OURS, "share of the most-read articles")
    _curve(accuracy, results, "ndcg", _NDCG, "nDCG")
    accuracy.set_title(f"Accuracy of the {report.top} articles listed\n(higher is better)", loc="left")
    accuracy.legend(frameon=False)
    _curve(churn, results, "churn", _OURS)
    churn.set_title("Replaced in each new list\n(lower is more stable)", loc="left")
    churn.set_ylim(bottom=0)
    for axes in (accuracy, churn):
        axes.set_xscale("log")
        minutes = [result.half_life_minutes for result in results]
        axes.set_xticks(minutes, [f"{value:g}" for value in minutes])
        axes.minorticks_off()
        axes.set_xlabel("half-life in minutes")
        axes.axvline(report.half_life_minutes, color=GREY, lw=1, ls="--", zorder=0)
        axes.grid(axis="y", alpha=0.3)
    figure.suptitle(
        f"Which half-life predicts best? Dashed: {report.half_life_minutes:g} minutes, the choice",
        fontsize=12,
        x=0.01,
        ha="left",
    )
    return figure


def save_plot(report: BacktestReport, path: str | Path) -> None:
    """Write the plot to a .png or .svg file. Raises BacktestError for other types and on write errors."""
    path = Path(path)
    if path.suffix.lower() not in _SUFFIXES:
        raise BacktestError(f"{path}: the name of a plot must end in {' or '.join(_SUFFIXES)}")
    import matplotlib as mpl  # noqa: PLC0415

    with mpl.rc_context(SETTINGS):
        try:
            plot_definitions(report).savefig(
                path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None
            )
        except OSError as error:
            raise BacktestError(f"cannot write {path}: {error.strerror}") from error


def _curve(axes: Any, results: Sequence[HalfLifeResult], measure: str, color: str, label: str = "") -> None:
    minutes = [result.half_life_minutes for result in results]
    values = [getattr(result, measure) for result in results]
    axes.plot(minutes, values, color=color, label=label)
    faces = [color if result.steady else "white" for result in results]
    axes.scatter(minutes, values, s=30, color=faces, edgecolor=color, zorder=3)


def _bars(
    axes: Any, rows: Sequence[DefinitionResult], values: Sequence[float], label_of: Callable[[float], str]
) -> None:
    colors = [_OURS if row.name.startswith("ours") else GREY for row in rows]
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
