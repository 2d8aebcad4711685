"""The command `backtest`: compare definitions of trending on an event log."""

import re
from pathlib import Path
from typing import Any

import click
from rich.console import Console, Group, RenderableType

from recommender.commands.files import echo
from recommender.commands.output import ReportingAnyName, output_options, report
from recommender.options import limit_options
from recommender.sheets import Note, Sheet

_UNITS = {"": 1, "m": 1, "min": 1, "h": 60, "d": 1440}


class _Duration(click.ParamType[int]):
    """A whole number of minutes, with or without a unit: 90, 90m, 1.5h, 1d."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Return minutes."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(m|min|h|d|)", str(value).strip())
        minutes = float(match[1]) * _UNITS[match[2]] if match else 0
        if not 1 <= minutes <= _UNITS["d"] * 7 or minutes % 1:
            self.fail(f"{value!r} is not a duration of 1 minute to 7 days; write 5m, 1h or 1d", param, ctx)
        return int(minutes)


_DURATION = _Duration()


@click.command(cls=ReportingAnyName)
@click.argument("events", type=click.Path(path_type=Path))
@click.option(
    "--horizon", default="1h", show_default=True, type=_DURATION, help="Predict reads this far ahead."
)
@click.option(
    "--top", default=10, show_default=True, type=click.IntRange(1, 100), help="Number of articles in a list."
)
@click.option("--refresh", default="5m", show_default=True, type=_DURATION, help="Time between two lists.")
@click.option(
    "--fit",
    default=0.5,
    show_default=True,
    type=click.FloatRange(0, 0.9),
    help="Share of the log to fit the half-life on; the report covers the rest. 0 disables fitting.",
)
@click.option(
    "--sample",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of the events to read, to simulate a smaller site.",
)
@click.option("--visitor-window", type=_DURATION, help="Count a visitor once per article in this time.")
@output_options
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Write a plot as .png or .svg.")
@click.option(
    "--write",
    "settings_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the fitted half-life to this TOML settings file.",
)
@limit_options
def backtest(events: Path, **options: Any) -> None:
    """Compare definitions of trending on an event log.

    EVENTS is Parquet, CSV or JSON lines with the columns ts and article_id, and optionally visitor_id, type
    and count.
    """
    from recommender.settings import Settings
    from recommender.settings_file import write_half_life
    from recommender.training.backtest.click_log import read_log
    from recommender.training.backtest.plots import save_plot
    from recommender.training.backtest.replay import BacktestSettings
    from recommender.training.backtest.replay import backtest as replay

    settings, stderr = Settings.read(), Console(stderr=True)
    backtest_settings = BacktestSettings(
        horizon=options["horizon"], top=options["top"], refresh=options["refresh"], fit=options["fit"],
        source_cap=settings.source_cap, source_window=settings.source_window_minutes,
    )  # fmt: skip
    with stderr.status("reading") as status:
        window = options["visitor_window"] or 0
        log = read_log(events, visitor_window_minutes=window, sample=options["sample"])
        result = replay(log, backtest_settings, progress=status.update)
    if options["plot"]:
        save_plot(result, options["plot"])
    if options["settings_path"]:
        write_half_life(options["settings_path"], "1h", result.half_life_minutes)
        half_life = f"half-life of the window 1h: {result.half_life_minutes:g} min"
        echo(f"{half_life}, written to {options['settings_path']}", err=True)
    report(
        options,
        lambda: _table(result),
        lambda: [row.model_dump() for row in result.rows],
        lambda: str(result.model_dump_json(indent=2)),
    )


def _table(result: Any) -> RenderableType:
    """Return a report as a table; the definitions are in the order of the result."""
    sheet = Sheet(
        f"Next {result.horizon_minutes} min, top {result.top}",
        *(f">{heading}" for heading in ("Overlap", "nDCG", "Churn", "Full", "Burst", "Flood", "capped")),
    )
    for row in result.rows:
        sheet.add(
            row.label, _fraction(row.overlap), _fraction(row.ndcg), _fraction(row.churn), f"{row.full:.0%}",
            "> 60" if row.burst_minutes is None else f"{row.burst_minutes:.0f} min",
            *("" if rank is None else f"{rank:,}" for rank in (row.flood_rank, row.capped_flood_rank)),
            style="bold" if row.name.startswith("ours") else "",
        )  # fmt: skip
    days = f"{result.begin:%Y-%m-%d %H:%M} to {result.end:%Y-%m-%d %H:%M} UTC"
    fitted = "nothing fitted"
    if result.fitted_on:
        begin, end = result.fitted_on
        fitted = (
            f"half-life {result.half_life_minutes:g} min, fitted on {begin:%Y-%m-%d %H:%M} to "
            f"{end:%Y-%m-%d %H:%M}"
        )
    note = (
        f"Churn: articles replaced per refresh of {result.refresh_minutes} min "
        f"(ideal list: {_fraction(result.truth_churn)}) · "
        f"Full: lists that need no filling up · "
        f"Burst: median time until a burst is listed, of {result.bursts} bursts · "
        f"Flood: best rank reached by 20,000 views from one reader, of {result.floods} floods; "
        "capped: counted as the service does"
    )
    title = Note(f"{result.events:,.0f} events · {days} · {fitted}", "bold")
    return Group(title, sheet, Note(note))


def _fraction(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")
