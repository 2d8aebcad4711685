"""Lists and evaluations as tables for the terminal."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from recommender.printable import one_line
from recommender.sheets import Note, Sheet

_NARROW = 56  # characters of a column in which the parts of a score are below their sums
_LABEL, _SUM = 14, 8  # characters of a group's name and sum


def list_table(response: Mapping[str, Any], heading: str) -> RenderableType:
    """Return a list response of the HTTP API as a table."""
    sheet = Sheet(">", "Article", "Source", ">Score", "Id")
    for rank, item in enumerate(response["items"], 1):
        score = "" if item["score"] is None else f"{item['score']:.3f}"
        details = [one_line(item["category"] or ""), (item["published_at"] or "")[:10]]
        lines: list[RenderableType] = [
            Text(one_line(item["title"])),
            Text(" · ".join(filter(None, details)), style="dim"),
        ]
        if why := item.get("why"):
            lines.append(_Explanation(why))
        sheet.add(str(rank), Group(*lines), item["source"], score, one_line(item["id"]))
    model = response["model"]["version"]
    note = f"{response['returned']} of {response['eligible']:,} eligible articles · model {model}"
    return Group(Text(one_line(heading), style="bold"), sheet, Note(note))


def list_records(response: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the items of a list response as rows, without explanations."""
    names = ("id", "title", "category", "published_at", "source", "score", "url")
    return [
        {"rank": rank, **{name: item[name] for name in names}}
        for rank, item in enumerate(response["items"], 1)
    ]


class _Explanation:
    """The parts of a score, grouped by what they come from, each group with its sum.

    Parts that round to 0.000 are left out; the sums of all groups are the score.
    """

    def __init__(self, why: Mapping[str, Any]) -> None:
        terms = [(part["term"], part["contribution"]) for part in why["terms"]]
        topics = [(part["name"], part["contribution"]) for part in why["topics"]]
        groups = {
            "words": [*terms, ("other terms", why["other_terms"])],
            "topics": [*topics, ("other topics", why["other_topics"])],
            "vectors": [("vector", why["vector"])],
            "neighbours": [(name, why[name]) for name in ("feedback", "expansion", "hub")],
            "date, editors": [(name, why[name]) for name in ("freshness", "boost")],
        }
        self._lines = [
            (label, f"{sum(part for _, part in parts):+.3f}", shown)
            for label, parts in groups.items()
            if (shown := ", ".join(f"{one_line(name)} {part:+.3f}" for name, part in parts if round(part, 3)))
        ]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield one row for each group, with its parts beside or, in a narrow column, below."""
        if options.max_width < _NARROW:
            for label, total, shown in self._lines:
                yield Text.assemble((label, "dim"), " ", total)
                yield Padding(Text(shown, style="italic"), (0, 0, 0, 2))
            return
        grid = Table.grid(padding=(0, 1))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(justify="right", no_wrap=True)
        grid.add_column(overflow="fold", style="italic")
        for label, total, shown in self._lines:
            grid.add_row(label, total, Text(shown))
        yield grid

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return a width from that of a label to that of the longest row."""
        return Measurement(
            _LABEL + _SUM, max((_LABEL + _SUM + cell_len(shown) for *_, shown in self._lines), default=0)
        )


def evaluation_table(report: Any) -> RenderableType:
    """Return an evaluation as tables: health, and with labels also quality."""
    parts: list[RenderableType] = [Note(_evaluated(report), "bold")]
    if report.labels:
        table = Sheet("Lists of nine", ">nDCG", ">Recall", ">P@1", ">MRR", ">nDCG: ours - it")
        for system in report.systems:
            quality, minus = system.quality, system.ours_minus_this
            measures = (quality.ndcg_at_9, quality.recall_at_9, quality.precision_at_1, quality.mrr)
            cells = [*map(estimate, measures), estimate(minus.ndcg_at_9, "+") if minus else ""]
            table.add(one_line(system.label), *cells)
        parts += [table, Note("[low, high]: 95 % bootstrap interval by story")]
    table = Sheet(
        "Health",
        ">Coverage",
        ">Hub skew",
        ">Top 1 %",
        ">Category",
        ">Dupes",
        ">Alike",
        ">Days",
        ">No similar",
    )
    for system in report.systems:
        if system.health:
            table.add(one_line(system.label), *_health(system.health))
    note = (
        "Coverage: articles in at least one list · Hub skew: skewness of the number of lists per article · "
        "Top 1 %: list positions of the 1 % most listed articles · Category: items in the article's own "
        "category · Dupes: lists with near-duplicates · Alike: mean cosine in a list · Days: median age gap"
        " · No similar: articles without a `similar` item"
    )
    return Group(*parts, table, Note(note))


def _evaluated(report: Any) -> str:
    text = f"{report.articles:,} articles"
    if report.model_version:
        text += f" · model {report.model_version}"
    if report.labels:
        labels = report.labels
        text += f" · {labels.queries:,} queries of {labels.stories:,} stories"
        if labels.unknown_ids:
            text += f" · {labels.unknown_ids:,} labelled ids are not in the model"
        if labels.bad_rows:
            text += f" · {labels.bad_rows:,} bad rows of labels"
    return text


def estimate(measured: Any, sign: str = "") -> str:
    """Return a mean and the two ends of its interval."""
    return _interval(measured.mean, measured.low, measured.high, sign)


def _interval(mean: float, low: float, high: float, sign: str) -> str:
    return f"{fraction(mean, sign)} [{fraction(low, sign)}, {fraction(high, sign)}]"


def fraction(value: float, sign: str = "") -> str:
    """Return a number with three decimals, without the zero before the point."""
    return f"{value:{sign}.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:{sign}.3f}"


def _health(health: Any) -> list[str]:
    age = health.median_age_gap_days
    return [
        fraction(health.coverage),
        f"{health.hub_skew:.2f}",
        fraction(health.top_1_percent_places),
        "" if health.category_agreement is None else fraction(health.category_agreement),
        fraction(health.near_duplicate_lists),
        "" if health.intra_list_similarity is None else fraction(health.intra_list_similarity),
        "" if age is None else f"{age:,.0f}",
        "" if health.lists_without_similar is None else f"{health.lists_without_similar:,}",
    ]


def evaluation_records(report: Any) -> list[dict[str, Any]]:
    """Return one row for each system: its measures with their intervals, and its health."""
    records = []
    for system in report.systems:
        record: dict[str, Any] = {"system": system.name}
        if system.quality:
            record |= _interval_columns(system.quality)
        if system.ours_minus_this:
            minus = _interval_columns(system.ours_minus_this)
            record |= {f"ours_minus_this_{name}": value for name, value in minus.items()}
        if system.health:
            health = system.health.model_dump()
            record |= {name: value for name, value in health.items() if not isinstance(value, dict)}
        records.append(record)
    return records


def comparison_table(comparison: Any) -> RenderableType:
    """Return a comparison of recipes as tables: quality, differences, and the lists that changed most."""
    measures = {"nDCG@9": "ndcg_at_9", "Recall@9": "recall_at_9", "P@1": "precision_at_1", "MRR": "mrr"}
    sheet = Sheet("Recipe", *(f">{heading}" for heading in measures), ">Seconds", ">Peak MiB")
    for name, row in comparison.table.to_dict("index").items():
        cells = [_of_columns(row, measure) for measure in measures.values()]
        peak = "" if row["peak_mib"] != row["peak_mib"] else f"{row['peak_mib']:,.0f}"
        sheet.add(one_line(name), *cells, f"{row['seconds']:.1f}", peak)
    parts: list[RenderableType] = [Note(one_line(comparison.benchmark.description), "bold"), sheet]
    if len(comparison.trials) > 1:
        first = one_line(comparison.trials[0].name)
        sheet = Sheet(f"Minus {first}", *(f">{heading}" for heading in measures))
        for name, row in comparison.differences.to_dict("index").items():
            sheet.add(one_line(name), *(_of_columns(row, measure, "+") for measure in measures.values()))
        note = "[low, high]: 95 % interval by story; a difference whose interval contains 0 may be chance"
        parts += [sheet, Note(note)]
    if not comparison.changed.empty:
        sheet = Sheet("Changed most", *map(one_line, comparison.changed.columns), lines=True)
        for title, lists in comparison.changed.groupby(level="article", sort=False):
            columns = [_numbered(lists[name]) for name in lists.columns]
            sheet.add(one_line(title), *columns)
        parts.append(sheet)
    return Group(*parts)


def _numbered(titles: Iterable[str]) -> str:
    return "\n".join(f"{rank} {one_line(title)}" for rank, title in enumerate(titles, 1) if title)


def _of_columns(row: Mapping[str, float], name: str, sign: str = "") -> str:
    return _interval(row[name], row[f"{name}_low"], row[f"{name}_high"], sign)


def _interval_columns(quality: Any) -> dict[str, float]:
    columns: dict[str, float] = {}
    for name, measured in quality:
        columns |= measured.columns(name)
    return columns
