"""The plot shows every definition by name, best first, with ours in a separate colour."""

from pathlib import Path

import pytest

from recommender.training.backtest.plots import plot_definitions, plot_half_lives, save_plot
from recommender.training.backtest.replay import BacktestError, BacktestSettings, backtest
from recommender.training.backtest.report import BacktestReport
from tests.support.portal import portal

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def report() -> BacktestReport:
    return backtest(portal(7 * 60, 30), BacktestSettings(top=5, refresh=20, fit=0))


@pytest.mark.slow
def test_definitions_are_sorted_from_best_to_worst(report: BacktestReport) -> None:
    panels = plot_definitions(report).axes

    names = [label.get_text() for label in panels[0].get_yticklabels()]
    widths = [bar.get_width() for bar in panels[0].patches]
    assert sorted(names) == sorted(row.label for row in report.rows)
    assert widths == sorted(widths, reverse=True)
    assert widths[names.index("ours (12 min)")] == pytest.approx(5 * report.row("ours").overlap)


def test_titles_name_the_task_and_the_better_direction(report: BacktestReport) -> None:
    figure = plot_definitions(report)

    assert "Which definition predicts the 5 most-read articles of the next hour?" in figure.get_suptitle()
    assert "a new list every 20 minutes" in figure.get_suptitle()
    assert [axes.get_title(loc="left").split("(")[1] for axes in figure.axes] == [
        "higher is better)",
        "lower is more stable)",
        "lower is faster)",
    ]


def test_only_ours_has_its_colour_and_missed_bursts_are_labelled(report: BacktestReport) -> None:
    panels = plot_definitions(report).axes

    colors = [bar.get_facecolor() for bar in panels[0].patches]
    never = [text.get_text() for text in panels[2].texts].count("over an hour")
    assert (
        colors.count(
            colors[[label.get_text() for label in panels[0].get_yticklabels()].index("ours (12 min)")]
        )
        == 1
    )
    assert never == sum(row.burst_minutes is None for row in report.rows)


@pytest.mark.slow
def test_the_same_report_gives_the_same_plot(report: BacktestReport, tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg"):
        save_plot(report, tmp_path / name)

    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert b"ours (12 min)" in (tmp_path / "one.svg").read_bytes()


def test_a_plot_that_cannot_be_written_is_rejected(report: BacktestReport, tmp_path: Path) -> None:
    with pytest.raises(BacktestError, match=r"race\.bmp: the name of a plot must end in \.png or \.svg"):
        save_plot(report, tmp_path / "race.bmp")
    with pytest.raises(BacktestError, match="cannot write"):
        save_plot(report, tmp_path / "nowhere" / "race.png")


def test_half_lives_are_drawn_with_the_choice_and_the_restless_ones_hollow() -> None:
    report = backtest(portal(6 * 60, 30), BacktestSettings(top=5))
    restless = [result.model_copy(update={"steady": False}) for result in report.half_lives[:2]]
    figure = plot_half_lives(report.model_copy(update={"half_lives": restless + report.half_lives[2:]}))

    accuracy, churn = figure.axes
    curve, choice = churn.lines
    assert curve.get_ydata().tolist() == [result.churn for result in report.half_lives]
    assert choice.get_xdata() == [report.half_life_minutes] * 2
    faces = [tuple(color) for color in churn.collections[0].get_facecolor()]
    assert [face == (1, 1, 1, 1) for face in faces[:2]] == [True, True]
    assert [face == (1, 1, 1, 1) for face in faces[2:]] == [not r.steady for r in report.half_lives[2:]]
    assert [text.get_text() for text in accuracy.get_legend().get_texts()] == [
        "share of the most-read articles",
        "nDCG",
    ]


def test_without_fitting_there_are_no_half_lives_to_draw(report: BacktestReport) -> None:
    with pytest.raises(BacktestError, match="no half-life was fitted"):
        plot_half_lives(report)
