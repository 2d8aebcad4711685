"""Plots have titles, units, a row for every system and few curves."""

import pytest

from recommender.training.evaluation import plots
from recommender.training.evaluation.baselines import baselines
from recommender.training.evaluation.evaluate import (
    Estimate,
    EvaluationReport,
    Quality,
    SystemReport,
    evaluate,
)
from recommender.training.evaluation.labels import LabelFile
from recommender.training.train import Trained
from tests.support.sample import NOW

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def report(trained: Trained) -> EvaluationReport:
    ids = list(trained.model.articles.ids)
    labels = LabelFile.of_stories([(article_id, str(at // 3)) for at, article_id in enumerate(ids[:30])])
    systems = [system for system in baselines() if system.name != "bm25"]
    return evaluate(trained.model, labels, systems=systems, now=NOW, resamples=50)


@pytest.mark.slow
def test_quality_has_a_panel_for_each_measure_and_a_line_for_each_system(report: EvaluationReport) -> None:
    panels = plots.quality(report.systems).axes

    assert [axes.get_title() for axes in panels] == ["nDCG@9", "recall@9"]
    names = [label.get_text() for label in panels[0].get_yticklabels()]
    assert names == [system.label for system in report.systems]
    for axes in panels:
        assert len(axes.containers) == len(names)
        assert axes.get_xlim() == (0, 1)


@pytest.mark.slow
def test_an_interval_is_drawn_at_its_reported_position(report: EvaluationReport) -> None:
    panel = plots.quality(report.systems).axes[1]
    quality = report.systems[2].quality
    assert quality is not None

    point, _, (bar,) = panel.containers[2].lines

    assert point.get_xdata().tolist() == [quality.recall_at_9.mean]
    assert bar.get_segments()[0][:, 0].tolist() == pytest.approx(
        [quality.recall_at_9.low, quality.recall_at_9.high]
    )


def test_large_differences_are_written_and_small_ones_drawn(report: EvaluationReport) -> None:
    def moved(at: int, mean: float) -> SystemReport:
        value = Estimate(mean=mean, low=mean - 0.05, high=mean + 0.05)
        minus = Quality(ndcg_at_9=value, recall_at_9=value, precision_at_1=value, mrr=value)
        return report.systems[at].model_copy(update={"ours_minus_this": minus})

    panel = plots.differences([report.systems[0], moved(1, 0.5), moved(2, -0.12), moved(3, -0.5)]).axes[0]

    assert [text.get_text() for text in panel.texts] == ["+0.5 →", "← −0.5"]
    assert len(panel.containers) == 1
    assert panel.get_xlim() == pytest.approx((-0.187, 0.187))


def test_ours_is_not_compared_with_itself(report: EvaluationReport) -> None:
    names = [label.get_text() for label in plots.differences(report.systems).axes[0].get_yticklabels()]

    assert names == [system.label for system in report.systems[1:]]


def test_four_systems_are_labelled_with_their_names(report: EvaluationReport) -> None:
    for figure in (plots.occurrences(report.systems), plots.age_gaps(report.systems)):
        assert figure._repr_png_().startswith(b"\x89PNG")  # a notebook shows it
        (axes,) = figure.axes
        names = [text.get_text() for text in axes.get_legend().get_texts()]

        assert names == ["ours", "scikit-learn TF-IDF", "newest in category", "our terms only"]
        assert axes.get_xlabel()
        assert "%" in axes.get_ylabel()


def test_occurrences_are_shares_of_all_articles(report: EvaluationReport) -> None:
    (axes,) = plots.occurrences(report.systems[:1]).axes

    assert sum(bar.get_height() for bar in axes.patches) == pytest.approx(100)
