"""A worse model is not published, and `recommender train` reports the reason."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from recommender.artifact import current_version, open_current
from tests.support.cli import SAMPLE, STORIES, Run

pytestmark = pytest.mark.slow

SABOTAGE = "[terms]\ntitle_weight = 0\n"


@pytest.mark.slow
def test_a_refused_model_exits_with_3_and_keeps_the_old_version_current(
    run: Run, published_copy: Path, tmp_path: Path
) -> None:
    (tmp_path / "sabotage.toml").write_text(SABOTAGE)
    before = (published_copy / "CURRENT").read_bytes()

    done = run("train", SAMPLE, "--recipe", "sabotage.toml", "--models-dir", published_copy)

    reports = list((published_copy / ".refused").iterdir())
    report = json.loads(reports[0].read_text(encoding="utf-8"))
    assert done.status == 3
    assert done.err.splitlines()[-1] == f"refused by quality gate: {'; '.join(report['reasons'])}"
    assert (published_copy / "CURRENT").read_bytes() == before
    assert len(list(published_copy.glob("2*"))) == len(reports) == 1
    assert report["verdict"]["compared_with"] == current_version(published_copy)
    assert len(report["verdict"]["most_changed"]) == 10
    assert report["verdict"]["most_changed"][0]["title"]
    assert "headlines found, old → new" in " ".join(done.out.split())
    assert "\nRefused   " in done.out
    assert reports[0].name in "".join(done.out.split())
    assert run("models", "list", "--models-dir", published_copy).status == 0
    assert run("related", "1001", "--models-dir", published_copy).status == 0


@pytest.mark.slow
def test_a_model_is_refused_in_an_empty_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "sabotage.toml").write_text(SABOTAGE)

    done = run("train", SAMPLE, "--recipe", "sabotage.toml")

    assert done.status == 3
    assert re.search(r"refused by quality gate: headlines found 0\S*, not at least 0.1", done.err)
    assert sorted(path.name for path in Path("models").iterdir()) == [
        ".lock",
        ".refused",
        "last-run.json",
    ]
    assert run("related", "1001").err.startswith("error: no published model in models; run")


@pytest.mark.slow
def test_no_gate_publishes_and_the_manifest_records_it(
    run: Run, published_copy: Path, tmp_path: Path
) -> None:
    (tmp_path / "sabotage.toml").write_text(SABOTAGE)
    before = current_version(published_copy)

    done = run("train", SAMPLE, "--recipe", "sabotage.toml", "--no-gate", "--models-dir", published_copy)

    manifest = open_current(published_copy).manifest
    assert (done.status, manifest.version != before) == (0, True)
    assert manifest.gate is not None
    assert (manifest.gate.outcome, manifest.gate.compared_with) == ("overridden", before)
    assert re.fullmatch(r"headlines found 0\S*, not at least 0.1", manifest.gate.reasons[0])
    assert "REFUSED" in done.out


@pytest.mark.slow
def test_the_manifest_contains_the_evaluation(run: Run, published_copy: Path) -> None:
    before = current_version(published_copy)

    done = run("train", SAMPLE, "--labels", STORIES, "--models-dir", published_copy)

    manifest = open_current(published_copy).manifest
    assert done.status == 0
    assert manifest.gate is not None
    assert (manifest.gate.outcome, manifest.gate.reasons) == ("passed", [])
    assert (manifest.gate.compared_with, manifest.gate.list_overlap) == (before, 1.0)
    assert manifest.evaluation is not None
    ours: Any = manifest.evaluation["systems"]
    assert ours[0]["health"]["coverage"] > 0.9
    assert ours[0]["quality"]["ndcg_at_9"]["mean"] > 0.8
    assert "drawn" not in manifest.evaluation


@pytest.mark.slow
def test_a_model_is_compared_with_the_named_version(run: Run, published_copy: Path) -> None:
    first = current_version(published_copy)
    run("train", SAMPLE, "--models-dir", published_copy)

    done = run("train", SAMPLE, "--baseline", first, "--models-dir", published_copy)

    assert done.status == 0
    gate = open_current(published_copy).manifest.gate
    assert gate is not None
    assert gate.compared_with == first


@pytest.mark.slow
def test_a_model_is_compared_with_a_report(run: Run, published: Path, tmp_path: Path) -> None:
    (tmp_path / "sabotage.toml").write_text(SABOTAGE)
    run("evaluate", "--models-dir", published, "--labels", STORIES, "--json", "report.json")

    same = run("train", SAMPLE, "--baseline", "report.json", "--labels", STORIES)
    worse = run("train", SAMPLE, "--baseline", "report.json", "--recipe", "sabotage.toml")

    assert (same.status, worse.status) == (0, 3)
    assert "nDCG at 9, old → new" in " ".join(same.out.split())
    assert "compared with report.json" in same.out
    assert "headlines found 1.000 before, 0.0" in worse.err


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        (
            "20200101T000000Z-00000000",
            "is neither a version in models nor a readable file (No such file or directory)",
        ),
        ("broken.json", "is not a report of `recommender evaluate --json`: Invalid JSON: "),
        ("other.json", "is not a report of `recommender evaluate --json`: format: Field required"),
        (".", "is neither a version in models nor a readable file (Is a directory)"),
        ("", "is neither a version in models nor a readable file (Is a directory)"),
        ("another.json", "contains none of the 3 articles of the corpus"),
    ],
)
def test_an_invalid_baseline_is_a_usage_error(
    run: Run, corpus: Path, published: Path, tmp_path: Path, baseline: str, message: str
) -> None:
    (tmp_path / "broken.json").write_text('{"format": 1')
    (tmp_path / "other.json").write_text('{"topics": []}')
    if baseline == "another.json":
        run("evaluate", "--models-dir", published, "--json", baseline)

    done = run("train", corpus, "--baseline", baseline)

    assert (done.status, done.out) == (2, "")
    assert done.err.splitlines()[-1].startswith(f"error: --baseline {baseline} ")
    assert message in done.err.replace("\n", " ")
    assert not Path("models").exists()


def test_articles_of_another_site_can_be_published_after_the_demo(
    run: Run, corpus: Path, published_copy: Path
) -> None:
    before = current_version(published_copy)

    done = run("train", corpus, "--models-dir", published_copy)

    gate = open_current(published_copy).manifest.gate
    assert done.status == 0
    assert gate is not None
    assert (gate.outcome, gate.compared_with) == ("passed", None)
    assert gate.not_compared == f"no articles in common with {before}: not compared"
    assert gate.not_compared in " ".join(done.out.split())


def test_a_version_of_another_site_is_rejected_as_baseline(
    run: Run, corpus: Path, published_copy: Path
) -> None:
    version = current_version(published_copy)

    done = run("train", corpus, "--baseline", version, "--models-dir", published_copy)

    message = f"error: --baseline {version} contains none of the 3 articles of the corpus"
    assert (done.status, done.err.splitlines()[-1]) == (2, message)


@pytest.mark.slow
def test_a_report_without_sampled_articles_is_rejected_as_baseline(
    run: Run, corpus: Path, published: Path
) -> None:
    run("evaluate", "--models-dir", published, "--json", "report.json")
    report = json.loads(Path("report.json").read_text(encoding="utf-8")) | {"drawn": None}
    Path("report.json").write_text(json.dumps(report), encoding="utf-8")

    done = run("train", corpus, "--baseline", "report.json")

    assert done.status == 2
    assert "report.json contains no sampled articles; create it with" in done.err


def test_the_bounds_of_a_recipe_are_applied(run: Run, corpus: Path) -> None:
    Path("strict.toml").write_text("[gate]\nmin_articles = 4\nmax_refused_rows = 0.0\n")
    corpus.write_text(corpus.read_text() + '{"id": "d"}\n')

    done = run("train", corpus, "--recipe", "strict.toml", "--max-bad", "0.5")

    assert done.status == 3
    assert done.err.splitlines()[-1] == (
        "refused by quality gate: articles 3, not at least 4; refused rows 0.25, not at most 0"
    )
