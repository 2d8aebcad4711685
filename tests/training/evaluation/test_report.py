"""The HTML page of an evaluation is self-contained and reproducible."""

import re

import pytest

from recommender.training.evaluation.baselines import baselines
from recommender.training.evaluation.evaluate import EvaluationReport, evaluate
from recommender.training.evaluation.labels import LabelFile
from recommender.training.evaluation.report import html_report
from recommender.training.train import Trained
from tests.support.sample import NOW


@pytest.fixture(scope="module")
def report(trained: Trained) -> EvaluationReport:
    ids = list(trained.model.articles.ids)
    labels = LabelFile.of_stories(
        [(article_id, str(at // 3)) for at, article_id in enumerate(ids[:30])], "<labels>"
    )
    systems = [system for system in baselines() if system.name in {"newest_in_category", "terms_only"}]
    return evaluate(trained.model, labels, systems=systems, now=NOW, resamples=100)


@pytest.fixture(scope="module")
def page(report: EvaluationReport) -> str:
    return html_report(report)


@pytest.mark.slow
def test_a_page_contains_tables_and_plots_and_loads_nothing(page: str) -> None:
    assert page.count("<table>") == 2
    assert page.count("<svg") == 4
    assert "newest in category" in page
    assert "&lt;labels&gt;" in page
    assert not re.search(r"""(src|href)=["'](?!#)|url\((?!["']?#)|@import|<script""", page)


@pytest.mark.slow
def test_equal_reports_give_equal_pages(report: EvaluationReport, page: str) -> None:
    assert html_report(report) == page


@pytest.mark.slow
def test_without_labels_and_dates_there_are_fewer_plots(trained: Trained) -> None:
    report = evaluate(trained.model, now=NOW)
    system = report.systems[0]
    assert system.health is not None
    gaps = system.health.age_gaps_days
    undated = gaps.model_copy(update={"counts": [0] * len(gaps.counts)})
    health = system.health.model_copy(update={"age_gaps_days": undated, "median_age_gap_days": None})

    page = html_report(report.model_copy(update={"systems": [system.model_copy(update={"health": health})]}))

    assert page.count("<svg") == 1
    assert "Quality by labels" not in page
