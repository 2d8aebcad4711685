"""Definitions of trending against a log of what was read."""

import re
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from recommender.commands.files import write

_UNITS = {"": 1, "m": 1, "min": 1, "h": 60, "d": 1440}


class _Duration(click.ParamType[int]):
    """A number of minutes, or one with a unit: 90, 90m, 1.5h, 1d; in whole minutes."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Return minutes."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(m|min|h|d|)", str(value).strip())
        minutes = float(found[1]) * _UNITS[found[2]] if found else 0
        if not 1 <= minutes <= _UNITS["d"] * 7 or minutes % 1:
            self.fail(f"{value!r} is none; write 5m, 1h or 1d", param, ctx)
        return int(minutes)


_DURATION = _Duration()


@click.command()
@click.argument("events", type=click.Path(path_type=Path))
@click.option("--horizon", default="1h", show_default=True, type=_DURATION, help="what is foretold")
@click.option("--top", default=10, show_default=True, type=click.IntRange(1, 100), help="articles in a list")
@click.option("--refresh", default="5m", show_default=True, type=_DURATION, help="between two lists")
@click.option(
    "--fit",
    default=0.5,
    show_default=True,
    type=click.FloatRange(0, 0.9),
    help="share of the log that the half-life is fitted on; the rest is reported on. 0 fits nothing",
)
@click.option(
    "--sample",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True),
    help="share of the events that are read: the log of a smaller site",
)
@click.option("--visitor-window", type=_DURATION, help="in it a visitor counts once per article")
@click.option(
    "--json", "json_path", metavar="FILE", help="write the report; - prints it in the table's place"
)
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="draw it, as .png or .svg")
@click.option(
    "--write",
    "settings_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="write the half-life that fits into this file of settings, in TOML",
)
def backtest(events: Path, **given: Any) -> None:
    """Replay EVENTS against the definitions of trending that sites use, and ours.

    EVENTS is Parquet, CSV or JSON lines with the columns ts and article_id, and where there are such,
    visitor_id, type and count.
    """
    from recommender.settings import Settings, write_half_life
    from recommender.training.backtest.click_log import read_log
    from recommender.training.backtest.plots import save_race
    from recommender.training.backtest.replay import BacktestSettings
    from recommender.training.backtest.replay import backtest as replay

    settings, stderr = Settings.read(), Console(stderr=True)
    plan = BacktestSettings(
        horizon=given["horizon"], top=given["top"], refresh=given["refresh"], fit=given["fit"],
        source_cap=settings.source_cap, source_window=settings.source_window_minutes,
    )  # fmt: skip
    with stderr.status("reading") as status:
        window = given["visitor_window"] or 0
        log = read_log(events, visitor_window_minutes=window, sample=given["sample"])
        report = replay(log, plan, progress=status.update)
    if given["plot"]:
        save_race(report, given["plot"])
    if given["settings_path"]:
        write_half_life(given["settings_path"], "1h", report.half_life_minutes)
        click.echo(
            f"half-life of 1h: {report.half_life_minutes:g} min, in {given['settings_path']}", err=True
        )
    text = report.model_dump_json(indent=2)
    if given["json_path"] == "-":
        click.echo(text)
        return
    if given["json_path"]:
        write(given["json_path"], text + "\n")
    Console().print(_table(report))


def _table(report: Any) -> RenderableType:
    """Return a report as a table, the definitions in its order."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(f"Next {report.horizon_minutes} min, top {report.top}", overflow="fold")
    for heading in ("Overlap", "nDCG", "Churn", "Full", "Burst", "Flood", "capped"):
        table.add_column(heading, justify="right")
    for row in report.rows:
        table.add_row(
            row.label, _fraction(row.overlap), _fraction(row.ndcg), _fraction(row.churn), f"{row.full:.0%}",
            "> 60" if row.burst_minutes is None else f"{row.burst_minutes:.0f} min",
            *("" if rank is None else f"{rank:,}" for rank in (row.flood_rank, row.capped_flood_rank)),
            style="bold" if row.name.startswith("ours") else None,
        )  # fmt: skip
    days = f"{report.begin:%Y-%m-%d %H:%M} to {report.end:%Y-%m-%d %H:%M} UTC"
    fitted = "nothing fitted"
    if report.fitted_on:
        begin, end = report.fitted_on
        fitted = (
            f"half-life {report.half_life_minutes:g} min, from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"
        )
    note = (
        f"Churn: articles that a list has in place of others, after {report.refresh_minutes} min; "
        f"{_fraction(report.truth_churn)} of those to be foretold change · "
        f"Full: lists that need no filling up · Burst: until one is listed, median of {report.bursts} · "
        f"Flood: best rank that 20,000 views of one reader reach, of {report.floods}; capped, as the "
        "service counts them"
    )
    told = Text(f"{report.events:,.0f} events · {days} · {fitted}", style="bold")
    return Group(told, table, Text(note, style="dim"))


def _fraction(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")
