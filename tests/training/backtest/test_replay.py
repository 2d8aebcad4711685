"""A replay measures how well definitions of trending predict reads on data they were not fitted on."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recommender.training.backtest import replay
from recommender.training.backtest.click_log import Log, log_of, read_log
from recommender.training.backtest.replay import (
    BacktestError,
    BacktestSettings,
    backtest,
    fitted_half_life,
    half_life_results,
)
from recommender.training.backtest.report import BacktestReport, DefinitionResult
from recommender.trending import WINDOWS, Candidates, EventCounts, Ranking, ranking
from tests.support.portal import BEGIN, portal

pytestmark = pytest.mark.slow

MINUTE = 60_000_000


@pytest.fixture(scope="module")
def report() -> BacktestReport:
    return backtest(portal(16 * 60, 60), BacktestSettings(top=8))


def test_ours_predicts_more_than_a_day_of_views_and_is_stable(report: BacktestReport) -> None:
    ours, day, quarter = (report.row(name) for name in ("ours", "last_1440", "last_15"))

    assert ours.overlap > day.overlap + 0.1
    assert ours.ndcg > day.ndcg + 0.05
    assert ours.churn < 0.6 * quarter.churn


def test_only_short_half_lives_list_a_burst(report: BacktestReport) -> None:
    waits = {row.name: row.burst_minutes for row in report.rows}

    assert report.bursts > 0
    assert (waits["ours"] or 99) <= 25
    assert waits["last_1440"] is None


def test_an_uncapped_flood_reaches_the_top_of_every_definition(report: BacktestReport) -> None:
    assert report.floods > 0
    assert {row.flood_rank for row in report.rows} == {1}
    assert (report.row("ours").capped_flood_rank or 0) > 8


def test_the_reported_part_follows_the_fitted_part(report: BacktestReport) -> None:
    assert report.fitted_on is not None
    assert report.fitted_on[1] <= report.begin < report.end
    assert (report.end - report.fitted_on[0]).total_seconds() == 16 * 3600


def test_the_tables_have_a_row_for_each_definition_and_half_life(report: BacktestReport) -> None:
    table, half_lives = report.table, report.half_life_table

    assert table.index.tolist() == [row.label for row in report.rows]
    assert table["overlap"].tolist() == [row.overlap for row in report.rows]
    assert table["burst_minutes"].isna().tolist() == [row.burst_minutes is None for row in report.rows]
    steady: pd.DataFrame = half_lives[half_lives["steady"]]
    best = (steady["overlap"] + steady["ndcg"]).idxmax()
    assert report.half_life_minutes in {best, WINDOWS["1h"].half_life}
    churn = half_lives["churn"].to_dict()
    assert churn[6] > churn[120]


def test_a_frame_and_its_file_give_the_same_report(tmp_path: Path) -> None:
    log = portal(200, 20)
    times = pd.to_datetime(log.minutes * 60, unit="s", utc=True)
    ids = [log.ids[column] for column in log.columns]
    frame = pd.DataFrame({"ts": times, "article_id": ids, "count": log.counts})
    frame.to_parquet(tmp_path / "views.parquet")

    assert backtest(frame) == backtest(tmp_path / "views.parquet") == backtest(log)


def test_without_fitting_all_but_the_first_hour_is_reported() -> None:
    report = backtest(portal(8 * 60, 30), BacktestSettings(fit=0))

    assert report.fitted_on is None
    assert report.half_life_minutes == WINDOWS["1h"].half_life
    assert report.begin.timestamp() // 60 == BEGIN + 60


@pytest.mark.slow
def test_two_days_are_split_at_midnight() -> None:
    minutes = BEGIN + 200 + np.arange(0, 2 * 1440 + 100, 7)
    report = backtest(
        log_of(["a"] * len(minutes), minutes, np.ones(len(minutes))), BacktestSettings(refresh=480)
    )

    assert report.fitted_on is not None
    assert report.fitted_on[1].timestamp() // 60 == BEGIN + 1440


def test_a_short_log_is_rejected_with_its_length() -> None:
    with pytest.raises(BacktestError, match="the log covers 100 minutes; 125 are needed"):
        backtest(portal(100, 30))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"refresh": 0}, "refresh is 0"),
        ({"top": 2.5}, "top is 2.5"),
        ({"horizon": -60}, "horizon is -60"),
        ({"fit": 1}, "fit is 1"),
    ],
)
def test_wrong_settings_are_rejected(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BacktestSettings(**wrong)


def test_a_log_that_does_not_fit_into_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "MAX_CELLS", 100)

    with pytest.raises(BacktestError, match="need too much memory; use a part of the log, or a longer --ref"):
        backtest(portal(200, 30))


def by_hand() -> Log:
    """In every hour, only the article of that hour and that of the previous hour are read."""
    hours = np.arange(6)
    ids = [*(f"{hour}" for hour in hours), *(f"{hour}" for hour in hours)]
    minutes = BEGIN + 60 * np.concatenate([hours, hours + 1])
    return log_of(ids, minutes, np.repeat([10, 5], 6))


def test_overlap_ndcg_and_churn_equal_a_manual_calculation() -> None:
    row = backtest(by_hand(), BacktestSettings(top=2, fit=0, refresh=60)).row("last_60")

    # The list is always the last two articles; the next reads are of the last article and a new one.
    gain = (5 / np.log2(2)) / (10 / np.log2(2) + 5 / np.log2(3))
    assert row.overlap == pytest.approx(0.5, abs=0.06)
    assert row.ndcg == pytest.approx(gain, abs=0.06)
    assert row.churn == 1


def test_a_list_is_filled_up_with_the_newest_published_articles() -> None:
    quiet = log_of([f"{at:03}" for at in range(0, 600, 50)], BEGIN + np.arange(0, 600, 50), np.ones(12))

    report = backtest(quiet, BacktestSettings(top=3, fit=0))

    assert report.row("last_15").full == 0
    assert report.row("ours").full > report.row("last_60").full


@pytest.mark.slow
def test_a_half_life_is_fitted_if_it_is_clearly_better() -> None:
    slow = log_of(  # articles that are read now and then, at a constant rate
        [f"{at % 60:02}" for at in range(900)],
        BEGIN + np.sort(np.random.default_rng(5).integers(0, 720, 900)),
        np.random.default_rng(6).permutation(np.repeat([1, 2, 9], 300)),
    )

    fitted = [
        fitted_half_life(half_life_results(log, BacktestSettings(top=8)))
        for log in (portal(4 * 60, 200), slow, portal(60, 5))
    ]

    assert fitted[0] <= 20
    assert fitted[1] >= 20
    assert fitted[2] == WINDOWS["1h"].half_life


def planted(log: Log, minutes: np.ndarray, counts: np.ndarray, tick: int) -> tuple[Ranking, Ranking]:
    """Return the ranking of a log at a tick, and the ranking with another article in its last row."""
    rankings = []
    for rows, at, n, ids in (
        (log.columns, log.minutes, log.counts, [*log.ids]),
        (
            np.append(log.columns, np.full(len(minutes), len(log.ids))),
            np.append(log.minutes, minutes),
            np.append(log.counts, counts),
            [*log.ids, "bot"],
        ),
    ):
        unknown = np.full(len(ids), -(1 << 62))
        candidates = Candidates(ids, unknown, np.zeros(len(ids), dtype=np.int64))
        rankings.append(ranking(EventCounts(rows, at, n), candidates, tick, WINDOWS["1h"]))
    return rankings[0], rankings[1]


def worst(log: Log, start: int, cap: int, window: int) -> tuple[int, float]:
    """Return the best rank of a six-hour flood, and the mean rank change of the first 50 articles."""
    minutes = start + np.arange(0, 360, window)
    best, moved = len(log.ids), 0.0
    for tick in range(start + 6, start + 366, 30):
        before, after = planted(log, minutes, np.full(len(minutes), float(cap)), tick)
        first = before.order[:50]
        moved = max(moved, float(np.abs(after.ranks[first] - before.ranks[first]).mean()))
        best = min(best, int(after.ranks[-1]) or best)
    return best, moved


def test_a_capped_flood_stays_below_the_most_read_articles() -> None:
    site = portal(14 * 60, 60)

    for cap, window in ((5, 30), (3, 30)):  # five visitors; one address
        best, moved = worst(site, BEGIN + 400, cap, window)

        assert best > 10
        assert moved < 1


DATA = os.environ.get("RECOMMENDER_TEST_DATA")
real = pytest.mark.skipif(not DATA, reason="RECOMMENDER_TEST_DATA names no folder with clicks.parquet")


def row_of(sample: float, top: int, *names: str) -> list[DefinitionResult]:
    path = Path(DATA or "") / "clicks.parquet"
    report = backtest(read_log(path, sample=sample), BacktestSettings(top=top))
    return [report.row(name) for name in names]


@pytest.mark.slow
@real
def test_on_a_portal_ours_is_as_good_as_the_best_with_half_the_churn() -> None:
    ours, quarter, *others = row_of(1, 10, "ours", "last_15", "decay_12", "last_60", "hacker_news")

    assert ours.overlap >= 0.82
    assert ours.ndcg >= max(row.ndcg for row in (quarter, *others)) - 0.01
    assert ours.churn <= 0.5 * quarter.churn


@pytest.mark.slow
@real
@pytest.mark.parametrize("sample", [0.01, 0.001])
def test_on_a_small_paper_ours_beats_a_day_of_views(sample: float) -> None:
    ours, day = row_of(sample, 8, "ours", "last_1440")

    assert ours.overlap > day.overlap
    assert ours.ndcg > day.ndcg
    assert ours.full == 1


@pytest.mark.slow
@real
@pytest.mark.parametrize("hour", [9, 27, 33, 45, 63, 69])
def test_on_a_portal_no_flood_reaches_the_top_ten(hour: int) -> None:
    log = read_log(Path(DATA or "") / "clicks.parquet")

    best, moved = worst(log, log.begin + hour * 60, 3, 30)

    assert best > 10
    assert moved < 1
