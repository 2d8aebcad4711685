"""A complete evaluation: the sample, other systems, and comparable reports."""

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files

import numpy as np
import pytest

from recommender.article import Article
from recommender.model import Model
from recommender.training.evaluation.evaluate import EvaluationReport, System, evaluate
from recommender.training.evaluation.labels import LabelFile
from recommender.training.train import Trained, train
from tests.support.sample import NOW

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def labels() -> LabelFile:
    with (files("recommender") / "sample" / "stories.csv").open(encoding="utf-8") as file:
        return LabelFile.of_stories([(row["id"], row["story_id"]) for row in csv.DictReader(file)])


def backwards(model: Model, rows: np.ndarray, k: int, threads: int) -> np.ndarray:
    assert threads > 0
    return np.asarray(model.neighbors.rows[rows][:, :k][:, ::-1])


@pytest.fixture(scope="session")
def report(trained: Trained, labels: LabelFile) -> EvaluationReport:
    systems = [
        System("backwards", "ours backwards", backwards, 1000),
        System("small", "small", backwards, 100),
    ]
    return evaluate(trained.model, labels, systems=systems, now=NOW, resamples=500)


def test_the_sample_is_measured(report: EvaluationReport) -> None:
    quality = report.systems[0].quality

    assert (report.articles, report.list_length, report.evaluated_at) == (259, 9, NOW)
    assert report.labels is not None
    assert (report.labels.queries, report.labels.stories, report.labels.unknown_ids) == (184, 42, 0)
    assert quality is not None
    assert quality.ndcg_at_9.low < quality.ndcg_at_9.mean < quality.ndcg_at_9.high
    assert quality.ndcg_at_9.mean > 0.8


def test_means_are_those_of_the_queries(report: EvaluationReport) -> None:
    ours = report.systems[0]

    assert ours.per_query is not None
    assert ours.quality is not None
    assert len(ours.per_query.mrr) == len(report.query_ids) == len(report.query_stories) == 184
    assert ours.quality.mrr.mean == pytest.approx(np.mean(ours.per_query.mrr))


def test_a_worse_system_is_reported_as_worse(report: EvaluationReport) -> None:
    ours, worse, _ = report.systems

    assert ours.ours_minus_this is None
    assert worse.ours_minus_this is not None
    assert worse.ours_minus_this.ndcg_at_9.low > 0
    assert ours.quality is not None
    assert worse.quality is not None
    difference = ours.quality.ndcg_at_9.mean - worse.quality.ndcg_at_9.mean
    assert worse.ours_minus_this.ndcg_at_9.mean == pytest.approx(difference)


def test_a_system_too_slow_for_the_corpus_ranks_only_the_queries(report: EvaluationReport) -> None:
    _, whole, queries = report.systems

    assert (whole.health is None, queries.health is None) == (False, True)
    assert whole.per_query == queries.per_query


def test_without_labels_health_is_measured_and_slow_systems_are_left_out(trained: Trained) -> None:
    report = evaluate(trained.model, systems=[System("small", "small", backwards, 100)], now=NOW)

    assert [system.name for system in report.systems] == ["ours"]
    assert report.systems[0].health is not None
    assert (report.systems[0].quality, report.labels, report.query_ids) == (None, None, [])


@pytest.mark.slow
def test_reports_are_reproducible_and_survive_json(
    report: EvaluationReport, trained: Trained, labels: LabelFile
) -> None:
    systems = [
        System("backwards", "ours backwards", backwards, 1000),
        System("small", "small", backwards, 100),
    ]
    again = evaluate(trained.model, labels, systems=systems, now=NOW, resamples=500, threads=1)

    assert again == report
    assert EvaluationReport.model_validate_json(report.model_dump_json()) == report


def test_the_keys_of_a_report_are_stable(report: EvaluationReport) -> None:
    content = json.loads(report.model_dump_json())

    assert list(content) == [
        *("format", "evaluated_at", "model_version", "fingerprint", "articles", "list_length", "resamples"),
        *("seed", "labels", "query_ids", "query_stories", "systems"),
        *("newest_published_at", "terms", "drawn"),
    ]
    assert list(content["systems"][0]) == [
        *("name", "label", "quality", "ours_minus_this", "per_query", "health"),
    ]
    assert list(content["systems"][0]["quality"]) == ["ndcg_at_9", "recall_at_9", "precision_at_1", "mrr"]


def test_a_single_article_can_be_evaluated() -> None:
    model = train([Article(id="a", title="Ferry stops", body="The island waits.")], now=NOW).model

    report = evaluate(model, now=NOW)

    assert report.systems[0].health is not None
    assert report.systems[0].health.coverage == 0


class Heard:
    """Records the reported progress."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    @contextmanager
    def step(self, name: str, total: float, unit: str) -> Iterator[Callable[[float], None]]:
        self.steps.append(f"{name}: {total:g} {unit}")
        yield lambda _: None


@pytest.mark.slow
def test_progress_is_reported_per_system(trained: Trained) -> None:
    heard = Heard()

    evaluate(trained.model, systems=[System("other", "other", backwards, 1000)], now=NOW, progress=heard)

    assert heard.steps == ["ours: 1 systems", "other: 1 systems"]
