"""Baselines are read from versions and reports, including reports of earlier versions of the program."""

import json
from pathlib import Path

import pytest

from recommender.training.evaluation.baselines import baselines
from recommender.training.evaluation.evaluate import EvaluationReport, evaluate
from recommender.training.release.gate import judge
from recommender.training.release.previous import read_baseline
from recommender.training.train import Trained
from tests.support.sample import NOW


def as_earlier_version(report: EvaluationReport) -> str:
    """Return the JSON of a report with the names that earlier versions used."""
    content = json.loads(report.model_dump_json())
    for system in content["systems"]:
        system["name"] = system["name"].replace("_in_category", "_in_section")
        system["health"]["section_agreement"] = system["health"].pop("category_agreement")
    return json.dumps(content)


@pytest.mark.slow
def test_a_report_of_an_earlier_version_is_a_baseline(trained: Trained, tmp_path: Path) -> None:
    systems = [system for system in baselines() if system.name == "newest_in_category"]
    report = evaluate(trained.model, systems=systems, now=NOW)
    earlier, current = tmp_path / "earlier.json", tmp_path / "current.json"
    earlier.write_text(as_earlier_version(report), encoding="utf-8")
    current.write_text(report.model_dump_json(), encoding="utf-8")

    baseline = read_baseline(str(earlier), tmp_path / "models")

    assert isinstance(baseline.source, EvaluationReport)
    assert [system.name for system in baseline.source.systems] == ["ours", "newest_in_section"]
    assert [system.health for system in baseline.source.systems] == [
        system.health for system in report.systems
    ]
    verdict = judge(trained.model, report, baseline=baseline)
    expected = judge(trained.model, report, baseline=read_baseline(str(current), tmp_path / "models"))
    assert verdict.comparisons == expected.comparisons
    assert len(verdict.comparisons) == 2
