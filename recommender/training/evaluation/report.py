"""An evaluation as one HTML page: tables, and plots as inline SVG."""

from collections.abc import Iterable, Sequence
from html import escape
from io import StringIO
from itertools import count
from typing import Any

from recommender.html_page import html_page
from recommender.training.evaluation import plots
from recommender.training.evaluation.error_analysis import Miss
from recommender.training.evaluation.evaluate import Estimate, EvaluationReport, SystemReport

_QUALITY_NOTE = (
    "<p>Means over the queries; below each mean, the 95 % interval of a bootstrap over stories. "
    "The last column is the paired difference in nDCG, ours minus the system in the row.</p>"
)
_STYLE = """
th:first-child, td:first-child { white-space: nowrap }
small { color: #64748b; white-space: nowrap } tbody tr:first-child { font-weight: 600 }
figure { margin: 1rem 0; overflow-x: auto } svg { max-width: 100%; height: auto }
svg text { font-family: system-ui, sans-serif }
"""


def html_report(report: EvaluationReport) -> str:
    """Return one self-contained HTML page without external resources; equal reports give equal pages.

    >>> page = recommender.html_report(report)
    """
    parts = [f"<h1>How good are the lists?</h1><p>{escape(_about(report))}</p>"]
    if report.labels:
        parts += [
            "<h2>Quality by labels</h2>",
            _QUALITY_NOTE,
            quality_table(report.systems),
            _svg(plots.quality(report.systems)),
        ]
        if len(report.systems) > 1:
            parts += ["<h2>Ours minus each other system</h2>", _svg(plots.differences(report.systems))]
    parts += [
        "<h2>Health without labels</h2>",
        health_table(report.systems),
        "<h2>How often articles are listed</h2>",
        "<p>Articles in no list are never recommended; articles in very many lists crowd out the others.</p>",
        _svg(plots.occurrences(report.systems)),
    ]
    if any(system.health and sum(system.health.age_gaps_days.counts) for system in report.systems):
        parts += [
            "<h2>Age gap</h2>",
            "<p>Share of list positions whose item was published within this time of the article.</p>",
            _svg(plots.age_gaps(report.systems)),
        ]
    return html_page("Evaluation", "".join(parts), _STYLE)


def quality_table(systems: Sequence[SystemReport]) -> str:
    """Return the quality of systems as an HTML table, each with its interval.

    >>> table = recommender.quality_table(report.systems)
    """
    rows = []
    for system in systems:
        quality, minus = system.quality, system.ours_minus_this
        if quality:
            measures = (quality.ndcg_at_9, quality.recall_at_9, quality.precision_at_1, quality.mrr)
            difference = _estimate(minus.ndcg_at_9, "+") if minus else ""
            rows.append([escape(system.label), *map(_estimate, measures), difference])
    return _table(["", "nDCG@9", "Recall@9", "Precision@1", "MRR", "Ours minus this, nDCG@9"], rows)


def health_table(systems: Sequence[SystemReport]) -> str:
    """Return the health of the systems that ranked every article as an HTML table.

    >>> table = recommender.health_table(report.systems)
    """
    rows = []
    for system in systems:
        health = system.health
        if health is None:
            continue
        rows.append(
            [
                escape(system.label),
                f"{health.coverage:.3f}",
                f"{health.hub_skew:.2f}",
                f"{health.top_1_percent_places:.3f}",
                _maybe(health.category_agreement, ".3f"),
                f"{health.near_duplicate_lists:.3f}",
                _maybe(health.intra_list_similarity, ".3f"),
                _maybe(health.median_age_gap_days, ",.0f"),
                f"{health.never_recommended:,}",
                _maybe(health.lists_without_similar, ",d"),
            ]
        )
    headings = ["", "Coverage", "Hub skew", "Share of top 1 %", "Category agreement", "With near-duplicates"]
    return _table(
        [*headings, "Similarity in list", "Median age gap, days", "Never listed", "No similar item"], rows
    )


def misses_table(misses: Sequence[Miss]) -> str:
    """Return poor lists as an HTML table: their items, the relevant ones ticked, and the missing articles.

    >>> table = recommender.misses_table(recommender.worst_misses(model, labels))
    """
    rows = []
    for miss in misses:
        listed = (
            f"<b>{escape(title)} ✓</b>" if relevant else escape(title) for title, relevant in miss.listed
        )
        missing = "none: all are listed, but too low"
        if miss.missing:
            missing = _list("ul", map(escape, miss.missing))
        rows.append([escape(miss.title), f"{miss.ndcg_at_9:.2f}", _list("ol", listed), missing])
    return _table(
        ["Article", "nDCG@9", "List (✓ relevant)", "Relevant, but not listed"], rows, left=(0, 2, 3)
    )


def _about(report: EvaluationReport) -> str:
    text = f"{report.articles:,} articles, lists of {report.list_length}, {report.evaluated_at:%Y-%m-%d}."
    if report.model_version:
        text += f" Model {report.model_version}."
    if report.labels:
        text += (
            f" {report.labels.queries:,} queries of {report.labels.stories:,} stories from "
            f"{report.labels.source}; {report.labels.unknown_ids:,} labelled ids are not in the model."
        )
    return text


def _svg(figure: Any) -> str:
    import matplotlib as mpl  # noqa: PLC0415 loaded only for pages

    with mpl.rc_context(plots.SETTINGS):
        output = StringIO()
        figure.savefig(output, format="svg", metadata={"Date": None})
    svg = output.getvalue()
    return f"<figure>{svg[svg.index('<svg') :]}</figure>"


def _estimate(estimate: Estimate, sign: str = "") -> str:
    return (
        f"{estimate.mean:{sign}.3f}<br><small>{estimate.low:{sign}.3f} to {estimate.high:{sign}.3f}</small>"
    )


def _maybe(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"


def _list(tag: str, items: Iterable[str]) -> str:
    return f"<{tag}>{''.join(f'<li>{item}</li>' for item in items)}</{tag}>"


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]], left: Sequence[int] = (0,)) -> str:
    def line(tag: str, cells: Iterable[str]) -> str:
        sides = ("left" if column in left else "right" for column in count())
        # The style is repeated in each cell because notebooks do not load our stylesheet.
        styled = (
            f"<{tag} style='text-align: {side}; vertical-align: top'>{cell}</{tag}>"
            for cell, side in zip(cells, sides, strict=False)
        )
        return f"<tr>{''.join(styled)}</tr>"

    body = "".join(line("td", row) for row in rows)
    return f"<table><thead>{line('th', headings)}</thead><tbody>{body}</tbody></table>"
