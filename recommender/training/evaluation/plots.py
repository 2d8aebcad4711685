"""Plots of an evaluation, for the HTML report and for notebooks, and the colours of every plot.

`matplotlib.pyplot.rcParams.update(plots.SETTINGS)` gives your own plots the same style.

>>> figure = recommender.plots.quality(report.systems)
"""

from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np

from recommender.training.evaluation.evaluate import Estimate, SystemReport
from recommender.training.evaluation.health import Health, Histogram

PALETTE = ("#c2410c", "#1d4ed8", "#0f766e", "#7e22ce", "#ca8a04", "#be185d", "#0891b2", "#65a30d")
GREY = "#64748b"  # for what is not in focus

SETTINGS: Any = {  # use them when saving a figure, too: the SVG settings take effect only then
    "svg.fonttype": "none",  # text stays text, in the page's font
    "svg.hashsalt": "report",  # equal reports produce equal bytes
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "date.converter": "concise",
    "axes.prop_cycle": f"cycler('color', {PALETTE})",
}
_OURS, *_OTHERS = PALETTE[:4]
_MEASURES = {"ndcg_at_9": "nDCG@9", "recall_at_9": "recall@9"}
_WIDTH, _LINE = 9, 0.32  # inches
_MAX_DIFFERENCE = 0.2  # larger differences are written at the edge instead of drawn to scale
_AGES = {1: "1 day", 7: "1 week", 30: "1 month", 365: "1 year", 3650: "10 years"}


def quality(systems: Sequence[SystemReport]) -> Any:
    """Return a figure of nDCG@9 and recall@9, one row with a 95 % interval for each system."""

    def draw(axes: Any, measure: str) -> None:
        _intervals(axes, [getattr(system.quality, measure) for system in systems], first=_OURS)
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1], ["0", "0.2", "0.4", "0.6", "0.8", "1"])

    return _panels(draw, systems, "mean and 95 % interval")


def differences(systems: Sequence[SystemReport]) -> Any:
    """Return a figure of ours minus each other system in nDCG@9 and recall@9, paired, with 95 % intervals.

    Differences above 0.2 are written as numbers at the edge, so that the axis can resolve the small ones.
    """
    others = [system for system in systems if system.ours_minus_this]
    estimates = {name: [getattr(system.ours_minus_this, name) for system in others] for name in _MEASURES}
    drawn = [estimate for column in estimates.values() for estimate in column if _fits(estimate)]
    limit = 1.1 * max((max(abs(estimate.low), abs(estimate.high)) for estimate in drawn), default=0)
    limit = limit or _MAX_DIFFERENCE

    def draw(axes: Any, measure: str) -> None:
        _intervals(axes, [estimate if _fits(estimate) else None for estimate in estimates[measure]])
        for position, estimate in enumerate(estimates[measure]):
            if not _fits(estimate):
                _write_at_edge(axes, position, estimate.mean, limit)
        axes.axvline(0, color="black", lw=0.8)
        axes.set_xlim(-limit, limit)
        axes.locator_params(axis="x", nbins=5)
        axes.xaxis.set_major_formatter(lambda value, _: _signed(value) if abs(value) > limit / 100 else "0")

    return _panels(draw, others, "ours minus this, and 95 % interval: right of 0, ours is better")


def occurrences(systems: Sequence[SystemReport]) -> Any:
    """Return a figure of how many lists contain an article, for ours and up to three other systems."""
    curves = _selected(systems)
    histograms = [_health_of(system).occurrences for system in curves]
    used = max(max(np.flatnonzero(histogram.counts), default=0) for histogram in histograms) + 1
    width = 0.8 / len(curves)
    figure, axes = subplots(_WIDTH, 3.4)
    for number, (system, histogram) in enumerate(zip(curves, histograms, strict=True)):
        shares = 100 * np.array(histogram.counts[:used]) / max(sum(histogram.counts), 1)
        positions = np.arange(used) + (number + 0.5) * width - 0.4
        axes.bar(positions, shares, width, color=_color(number), label=system.label)
    axes.set_xticks(np.arange(used), _spans(histograms[0])[:used])
    axes.set_xlabel("lists that contain the article")
    axes.set_ylabel("% of articles")
    axes.legend(frameon=False)
    return figure


def age_gaps(systems: Sequence[SystemReport]) -> Any:
    """Return a figure of the days between an article and the items of its list, for the same systems."""
    figure, axes = subplots(_WIDTH, 3.4)
    for number, system in enumerate(_selected(systems)):
        histogram = _health_of(system).age_gaps_days
        shares = 100 * np.cumsum(histogram.counts) / max(sum(histogram.counts), 1)
        color = _color(number)
        axes.plot(histogram.edges[1:], shares[:-1], marker="o", ms=4, color=color, label=system.label)
    axes.set_xscale("log")
    axes.set_xticks(list(_AGES), list(_AGES.values()))
    axes.minorticks_off()
    axes.set_ylim(0, 102)
    axes.set_xlabel("time between article and item, at most")
    axes.set_ylabel("% of the positions in lists")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="upper left")
    return figure


def subplots(width: float, height: float, columns: int = 1, *, sharey: bool = True) -> tuple[Any, Any]:
    """Return a figure of this size in inches, which a notebook shows, and its axes.

    >>> figure, axes = recommender.plots.subplots(9, 3)
    """
    import matplotlib as mpl  # noqa: PLC0415 loaded only when drawing
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context(SETTINGS):
        figure: Any = Figure(figsize=(width, height), layout="constrained")
        figure._repr_png_ = partial(
            _png, figure
        )  # without it, only `%matplotlib inline` would show a picture
        return figure, figure.subplots(ncols=columns, sharey=sharey)


def _panels(draw: Callable[[Any, str], None], systems: Sequence[SystemReport], caption: str) -> Any:
    """Return a figure with one panel for each measure, the systems from top to bottom."""
    figure, panels = subplots(_WIDTH, 1.1 + _LINE * len(systems), columns=len(_MEASURES))
    for axes, (measure, title) in zip(panels, _MEASURES.items(), strict=True):
        draw(axes, measure)
        axes.set_title(title)
        axes.grid(axis="x", alpha=0.3)
    panels[0].set_yticks(range(len(systems)), [system.label for system in systems])
    panels[0].set_ylim(len(systems) - 0.5, -0.5)
    figure.supxlabel(caption, fontsize=10)
    figure.get_layout_engine().set(wspace=0.08)
    return figure


def _intervals(axes: Any, estimates: Sequence[Estimate | None], first: str = _OTHERS[0]) -> None:
    for position, estimate in enumerate(estimates):
        if estimate:
            errors = [[estimate.mean - estimate.low], [estimate.high - estimate.mean]]
            color = _OTHERS[0] if position else first
            axes.errorbar(estimate.mean, position, xerr=errors, fmt="o", color=color, ms=5, capsize=3)


def _fits(estimate: Estimate) -> bool:
    return abs(estimate.mean) <= _MAX_DIFFERENCE


def _write_at_edge(axes: Any, position: int, value: float, edge: float) -> None:
    text = f"{_signed(value)} →" if value > 0 else f"← {_signed(value)}"
    side = "right" if value > 0 else "left"
    axes.text(np.copysign(edge, value), position, text, ha=side, va="center", color=_OTHERS[0])


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", "\N{MINUS SIGN}")


def _png(figure: Any) -> bytes:
    import matplotlib as mpl  # noqa: PLC0415

    stream = BytesIO()
    with mpl.rc_context(SETTINGS):
        figure.savefig(stream, format="png")
    return stream.getvalue()


def _selected(systems: Sequence[SystemReport]) -> list[SystemReport]:
    """Return ours and the most informative other systems; more than four curves are hard to distinguish."""
    measured = [system for system in systems if system.health]
    preferred = ("sklearn_tfidf", "newest_in_category", "terms_only")
    selection = [system for name in preferred for system in measured if system.name == name]
    others = [system for system in measured[1:] if system not in selection]
    return [*measured[:1], *selection, *others][: 1 + len(_OTHERS)]


def _health_of(system: SystemReport) -> Health:
    if system.health is None:
        raise ValueError(f"{system.name} has no health")
    return system.health


def _spans(histogram: Histogram) -> list[str]:
    edges = [int(edge) for edge in histogram.edges]
    ends = [after - 1 for after in edges[1:]]
    return [f"{a}" if a == b else f"{a}-{b}" for a, b in zip(edges, ends, strict=False)] + [f"{edges[-1]}+"]


def _color(number: int) -> str:
    return (_OURS, *_OTHERS)[number]
