"""An evaluation as one page for a browser: tables, and plots as SVG within it."""

from collections.abc import Callable, Iterable, Sequence
from html import escape
from io import StringIO
from typing import Any

import numpy as np

from recommender.training.evaluation import Estimate, EvaluationReport, SystemReport
from recommender.training.health import Health, Histogram

_OURS, _OTHERS = "#c2410c", ("#1d4ed8", "#0f766e", "#7e22ce", "#64748b")
_CURVES = 4  # systems in one plot of distributions; more cannot be told apart
_SETTINGS: Any = {
    "svg.fonttype": "none",  # text stays text, in the page's font
    "svg.hashsalt": "report",  # the same report gives the same bytes
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_QUALITY_TOLD = (
    "<p>Means over the queries; below, the 95 % interval of a bootstrap that draws whole stories. "
    "The last column is the paired difference in nDCG between ours and the row.</p>"
)
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1e293b }
body { margin: 2rem auto; max-width: 62rem; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.5rem } p { max-width: 44rem }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; width: 100% }
th, td { text-align: right; padding: .3rem .5rem; border-bottom: 1px solid #e2e8f0; vertical-align: top }
th:first-child, td:first-child { text-align: left; white-space: nowrap } th { font-weight: 600 }
small { color: #64748b; white-space: nowrap } tbody tr:first-child { font-weight: 600 }
figure { margin: 1rem 0; overflow-x: auto } svg { max-width: 100%; height: auto }
svg text { font-family: system-ui, sans-serif }
"""


def html_report(report: EvaluationReport) -> str:
    """Return one self-contained HTML page; it fetches nothing, and equal reports give equal pages."""
    parts = [f"<h1>How good are the lists?</h1><p>{escape(_about(report))}</p>"]
    if report.labels:
        parts += [
            "<h2>Quality by labels</h2>",
            _QUALITY_TOLD,
            _quality_table(report.systems),
            _figure(report.systems, _draw_quality, 0.9 + 0.32 * len(report.systems)),
        ]
    measured = [system for system in report.systems if system.health]
    curves = _telling(measured)
    parts += [
        "<h2>Health without labels</h2>",
        _health_table(measured),
        "<h2>How often articles are listed</h2>",
        "<p>Articles in no list are never seen again; those in very many crowd out the others.</p>",
        _figure(curves, _draw_occurrences, 3.4),
    ]
    if any(sum(found.age_gaps_days.counts) for found in map(_health_of, curves)):
        parts += [
            "<h2>How far apart in time</h2>",
            "<p>Share of the places in lists whose item lies within so many days of the article.</p>",
            _figure(curves, _draw_age_gaps, 3.4),
        ]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Evaluation</title>"
        "<meta name='viewport' content='width=device-width'>"
        f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _about(report: EvaluationReport) -> str:
    told = f"{report.articles:,} articles, lists of {report.list_length}, {report.evaluated_at:%Y-%m-%d}."
    if report.model_version:
        told += f" Model {report.model_version}."
    if report.labels:
        told += (
            f" {report.labels.queries:,} queries of {report.labels.stories:,} stories from "
            f"{report.labels.source}; {report.labels.unknown_ids:,} labelled ids are not in the model."
        )
    return told


def _quality_table(systems: Sequence[SystemReport]) -> str:
    rows = []
    for system in systems:
        found, minus = system.quality, system.ours_minus_this
        if found:
            measures = (found.ndcg_at_9, found.recall_at_9, found.precision_at_1, found.mrr)
            difference = _estimate(minus.ndcg_at_9, "+") if minus else ""
            rows.append([escape(system.label), *map(_estimate, measures), difference])
    return _table(["", "nDCG@9", "Recall@9", "Precision@1", "MRR", "Ours less this"], rows)


def _health_table(systems: Sequence[SystemReport]) -> str:
    rows = []
    for system in systems:
        found = _health_of(system)
        rows.append(
            [
                escape(system.label),
                f"{found.coverage:.3f}",
                f"{found.hub_skew:.2f}",
                f"{found.top_1_percent_places:.3f}",
                _maybe(found.section_agreement, ".3f"),
                f"{found.near_duplicate_lists:.3f}",
                _maybe(found.intra_list_similarity, ".3f"),
                _maybe(found.median_age_gap_days, ",.0f"),
                f"{found.never_recommended:,}",
                _maybe(found.lists_without_similar, ",d"),
            ]
        )
    headings = ["", "Coverage", "Hub skew", "Held by top 1 %", "Section agreement", "Lists with copies"]
    return _table(
        [*headings, "Likeness in list", "Median age gap, days", "Never listed", "No similar item"], rows
    )


def _draw_quality(axes: Any, systems: Sequence[SystemReport]) -> None:
    places = np.arange(len(systems))[::-1]
    for shift, measure, marker in ((0.12, "ndcg_at_9", "o"), (-0.12, "recall_at_9", "s")):
        for place, system in zip(places, systems, strict=True):
            found: Estimate = getattr(system.quality, measure)
            reach = [[found.mean - found.low], [found.high - found.mean]]
            color = _OURS if system is systems[0] else _OTHERS[0]
            face = color if marker == "o" else "white"
            axes.errorbar(
                found.mean, place + shift, xerr=reach, fmt=marker, color=color, mfc=face, ms=5, capsize=2
            )
    axes.set_yticks(places, [system.label for system in systems])
    axes.set_xlim(0, 1)
    axes.set_xlabel("● nDCG@9    □ recall@9    with 95 % intervals")
    axes.grid(axis="x", alpha=0.3)


def _draw_occurrences(axes: Any, systems: Sequence[SystemReport]) -> None:
    found = [_health_of(system).occurrences for system in systems]
    used = max(max(np.flatnonzero(histogram.counts), default=0) for histogram in found) + 1
    names = _spans(found[0])[:used]
    width = 0.8 / len(systems)
    for at, (system, histogram) in enumerate(zip(systems, found, strict=True)):
        shares = np.array(histogram.counts[:used]) / max(sum(histogram.counts), 1)
        axes.bar(
            np.arange(used) + (at + 0.5) * width - 0.4, shares, width, color=_color(at), label=system.label
        )
    axes.set_xticks(np.arange(used), names)
    axes.set_xlabel("lists that an article stands in")
    axes.set_ylabel("share of articles")
    axes.legend(frameon=False)


def _draw_age_gaps(axes: Any, systems: Sequence[SystemReport]) -> None:
    for at, system in enumerate(systems):
        histogram = _health_of(system).age_gaps_days
        shares = np.cumsum(histogram.counts) / max(sum(histogram.counts), 1)
        axes.plot(histogram.edges[1:], shares[:-1], marker="o", ms=4, color=_color(at), label=system.label)
    axes.set_xscale("log")
    ticks = {1: "1 day", 7: "1 week", 30: "1 month", 365: "1 year", 3650: "10 years"}
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.minorticks_off()
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("share of places")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="upper left")


def _figure(
    systems: Sequence[SystemReport], draw: Callable[[Any, Sequence[SystemReport]], None], height: float
) -> str:
    import matplotlib as mpl  # noqa: PLC0415 only a page needs plots
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(9, height), layout="constrained")
        draw(figure.subplots(), systems)
        drawn = StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    svg = drawn.getvalue()
    return f"<figure>{svg[svg.index('<svg') :]}</figure>"


def _telling(systems: Sequence[SystemReport]) -> list[SystemReport]:
    """Return ours and the systems that tell most beside it."""
    wanted = ("sklearn_tfidf", "newest_in_section", "terms_only")
    chosen = [system for name in wanted for system in systems if system.name == name]
    return [*systems[:1], *chosen, *(one for one in systems[1:] if one not in chosen)][:_CURVES]


def _health_of(system: SystemReport) -> Health:
    if system.health is None:
        raise ValueError(f"{system.name} has no health")
    return system.health


def _spans(histogram: Histogram) -> list[str]:
    edges = [int(edge) for edge in histogram.edges]
    ends = [after - 1 for after in edges[1:]]
    return [f"{a}" if a == b else f"{a}-{b}" for a, b in zip(edges, ends, strict=False)] + [f"{edges[-1]}+"]


def _color(at: int) -> str:
    return (_OURS, *_OTHERS)[at]


def _estimate(estimate: Estimate, sign: str = "") -> str:
    return (
        f"{estimate.mean:{sign}.3f}<br><small>{estimate.low:{sign}.3f} to {estimate.high:{sign}.3f}</small>"
    )


def _maybe(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    def line(tag: str, cells: Iterable[str]) -> str:
        return f"<tr>{''.join(f'<{tag}>{cell}</{tag}>' for cell in cells)}</tr>"

    body = "".join(line("td", row) for row in rows)
    return f"<table><thead>{line('th', headings)}</thead><tbody>{body}</tbody></table>"
