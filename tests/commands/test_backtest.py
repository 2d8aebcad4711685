"""`recommender backtest`: its table, report and plot, and the fitted half-life in a settings file."""

import csv
from pathlib import Path

import pytest

from recommender.settings import Settings
from tests.support.cli import Run
from tests.support.portal import portal


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    log = portal(6 * 60, 20)
    path = tmp_path_factory.mktemp("log") / "views.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["ts", "article_id", "count"])
        rows.writerows(
            (minute * 60, log.ids[column], count)
            for minute, column, count in zip(log.minutes, log.columns, log.counts, strict=True)
        )
    return path


def test_the_table_names_every_definition_and_what_was_fitted(run: Run, events: Path) -> None:
    ended = run("backtest", events, "--top", 5, "--refresh", "20m")

    assert ended.status == 0
    for name in (
        "ours (12 min)",
        "last 24 hours",
        "Hacker News",
        "Reddit hot",
        "Mastodon",
        "half-life 12 min",
    ):
        assert name in ended.out
    assert "Next 60 min, top 5" in ended.out
    assert "events" in ended.out.splitlines()[0]


@pytest.mark.slow
def test_the_report_the_plot_and_the_setting_are_written(run: Run, events: Path, tmp_path: Path) -> None:
    ended = run(
        *("backtest", events, "--horizon", "30m", "--fit", 0.5, "--refresh", 20, "--json", "-"),
        *("--plot", tmp_path / "race.png", "--write", tmp_path / "settings.toml"),
    )

    assert ended.status == 0
    report = ended.json()
    assert (report["horizon_minutes"], report["refresh_minutes"], report["top"]) == (30, 20, 10)
    assert (tmp_path / "race.png").read_bytes()[:4] == b"\x89PNG"
    assert f"half-life of the window 1h: {report['half_life_minutes']:g} min" in ended.err


def test_the_service_reads_the_half_life_that_was_written(
    run: Run, events: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = run(
        *("backtest", events, "--refresh", "20m", "--write", tmp_path / "settings.toml", "--json", "-")
    ).json()
    monkeypatch.setenv("RECOMMENDER_SETTINGS", str(tmp_path / "settings.toml"))

    assert Settings.read().half_life_of == {"1h": report["half_life_minutes"]}


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--horizon", "soon"], 2, "'soon' is not a duration of 1 minute to 7 days; write 5m, 1h or 1d"),
        (["--refresh", "0.5m"], 2, "'0.5m' is not a duration of 1 minute to 7 days; write 5m, 1h or 1d"),
        (["--horizon", "1d"], 1, "error: the log covers 3"),
        (
            ["--plot", "race.pdf", "--refresh", "20m", "--fit", 0],
            1,
            "error: race.pdf: the name of a plot must end in .png or .svg",
        ),
        (["--json", "nowhere/report.json", "--refresh", "20m", "--fit", 0], 1, "cannot write nowhere"),
    ],
)
def test_errors_are_reported_in_one_line(
    run: Run, events: Path, arguments: list[object], status: int, message: str
) -> None:
    ended = run("backtest", events, *arguments)

    assert ended.status == status
    assert message in ended.err
    assert "Traceback" not in ended.err


def test_a_log_without_the_required_columns_is_rejected(run: Run, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("when,what\n1,2\n")

    ended = run("backtest", tmp_path / "log.csv")

    assert ended.status == 1
    assert "has no column ts; its columns are when, what" in ended.err
