"""A replay tells which definition of trending foretells what is read, on data it was not fitted on."""

import os
from pathlib import Path

import numpy as np
import pytest

from recommender.training.backtest.click_log import Log, log_of, read_log
from recommender.training.backtest.replay import (
    BacktestError,
    BacktestReport,
    BacktestSettings,
    DefinitionResult,
    backtest,
    fitted_half_life,
)
from recommender.trending import WINDOWS, Candidates, EventCounts, Ranking, ranking
from tests.support.portal import BEGIN, portal

MINUTE = 60_000_000


@pytest.fixture(scope="module")
def report() -> BacktestReport:
    return backtest(portal(16 * 60, 60), BacktestSettings(top=8))


def test_ours_foretells_more_than_a_day_of_views_and_is_calm(report: BacktestReport) -> None:
    ours, day, quarter = (report.row(name) for name in ("ours", "last_1440", "last_15"))

    assert ours.overlap > day.overlap + 0.1
    assert ours.ndcg > day.ndcg + 0.05
    assert ours.churn < 0.6 * quarter.churn


def test_a_burst_is_noticed_by_short_memories_alone(report: BacktestReport) -> None:
    waits = {row.name: row.burst_minutes for row in report.rows}

    assert report.bursts > 0
    assert (waits["ours"] or 99) <= 25
    assert waits["last_1440"] is None


def test_a_flood_that_is_counted_view_by_view_comes_to_the_top_everywhere(report: BacktestReport) -> None:
    assert report.floods > 0
    assert {row.flood_rank for row in report.rows} == {1}
    assert (report.row("ours").capped_flood_rank or 0) > 8


def test_what_is_reported_on_lies_behind_what_was_fitted_on(report: BacktestReport) -> None:
    assert report.fitted_on is not None
    assert report.fitted_on[1] <= report.begin < report.end
    assert (report.end - report.fitted_on[0]).total_seconds() == 16 * 3600


def test_with_nothing_fitted_all_but_the_first_hour_is_reported_on() -> None:
    found = backtest(portal(8 * 60, 30), BacktestSettings(fit=0))

    assert found.fitted_on is None
    assert found.half_life_minutes == WINDOWS["1h"].half_life
    assert found.begin.timestamp() // 60 == BEGIN + 60


def test_two_days_are_parted_at_a_midnight() -> None:
    minutes = BEGIN + 200 + np.arange(0, 2 * 1440 + 100, 7)
    found = backtest(
        log_of(["a"] * len(minutes), minutes, np.ones(len(minutes))), BacktestSettings(refresh=480)
    )

    assert found.fitted_on is not None
    assert found.fitted_on[1].timestamp() // 60 == BEGIN + 1440


def test_a_log_of_little_is_refused_with_its_length() -> None:
    with pytest.raises(BacktestError, match="the log covers 100 minutes; 125 are needed"):
        backtest(portal(100, 30))


def by_hand() -> Log:
    """In each hour the article of that hour and that of the one before are read, nothing else."""
    hours = np.arange(6)
    ids = [*(f"{hour}" for hour in hours), *(f"{hour}" for hour in hours)]
    minutes = BEGIN + 60 * np.concatenate([hours, hours + 1])
    return log_of(ids, minutes, np.repeat([10, 5], 6))


def test_overlap_gain_and_churn_are_those_reckoned_by_hand() -> None:
    row = backtest(by_hand(), BacktestSettings(top=2, fit=0, refresh=60)).row("last_60")

    # The list is always the article before last and the last one; next come the last one and a new one.
    gain = (5 / np.log2(2)) / (10 / np.log2(2) + 5 / np.log2(3))
    assert row.overlap == pytest.approx(0.5, abs=0.06)
    assert row.ndcg == pytest.approx(gain, abs=0.06)
    assert row.churn == 1


def test_a_list_is_filled_up_with_the_newest_that_are_there() -> None:
    quiet = log_of([f"{at:03}" for at in range(0, 600, 50)], BEGIN + np.arange(0, 600, 50), np.ones(12))

    found = backtest(quiet, BacktestSettings(top=3, fit=0))

    assert found.row("last_15").full == 0
    assert found.row("ours").full > found.row("last_60").full


def test_a_half_life_is_fitted_where_it_is_clearly_better() -> None:
    slow = log_of(  # twelve articles that are read now and then, and always as much as ever
        [f"{at % 60:02}" for at in range(900)],
        BEGIN + np.sort(np.random.default_rng(5).integers(0, 720, 900)),
        np.random.default_rng(6).permutation(np.repeat([1, 2, 9], 300)),
    )

    assert fitted_half_life(portal(4 * 60, 200), BacktestSettings(top=8)) <= 20
    assert fitted_half_life(slow, BacktestSettings(top=8)) >= 20
    assert fitted_half_life(portal(60, 5), BacktestSettings()) == WINDOWS["1h"].half_life


def planted(log: Log, minutes: np.ndarray, counts: np.ndarray, tick: int) -> tuple[Ranking, Ranking]:
    """The ranking of a log at a tick, and that with one more article in its last row."""
    found = []
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
        found.append(ranking(EventCounts(rows, at, n), candidates, tick, WINDOWS["1h"]))
    return found[0], found[1]


def worst(log: Log, start: int, cap: int, window: int) -> tuple[int, float]:
    """The best rank that a flood of six hours reaches, and by how much it moves the first 50 on average."""
    minutes = start + np.arange(0, 360, window)
    best, moved = len(log.ids), 0.0
    for tick in range(start + 6, start + 366, 30):
        before, after = planted(log, minutes, np.full(len(minutes), float(cap)), tick)
        first = before.order[:50]
        moved = max(moved, float(np.abs(after.ranks[first] - before.ranks[first]).mean()))
        best = min(best, int(after.ranks[-1]) or best)
    return best, moved


def test_a_flood_as_far_as_it_counts_stays_below_what_people_read() -> None:
    site = portal(14 * 60, 60)

    for cap, window in ((5, 30), (3, 30)):  # five visitors; one address
        best, moved = worst(site, BEGIN + 400, cap, window)

        assert best > 10
        assert moved < 1


DATA = os.environ.get("RECOMMENDER_TEST_DATA")
real = pytest.mark.skipif(not DATA, reason="RECOMMENDER_TEST_DATA names no folder with clicks.parquet")


def row_of(sample: float, top: int, *names: str) -> list[DefinitionResult]:
    path = Path(DATA or "") / "clicks.parquet"
    found = backtest(read_log(path, sample=sample), BacktestSettings(top=top))
    return [found.row(name) for name in names]


@pytest.mark.slow
@real
def test_on_a_portal_ours_is_as_good_as_the_best_at_half_its_changes() -> None:
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
def test_on_a_portal_no_flood_comes_among_the_first_ten(hour: int) -> None:
    log = read_log(Path(DATA or "") / "clicks.parquet")

    best, moved = worst(log, log.begin + hour * 60, 3, 30)

    assert best > 10
    assert moved < 1
