"""`recommender evaluate` prints and writes its report, and rejects invalid labels."""

import json
from pathlib import Path

import pytest

from recommender.artifact import current_version
from tests.support.cli import ROWS, STORIES, Run

pytestmark = pytest.mark.slow


def test_evaluate_measures_the_current_model_by_labels(run: Run, published: Path) -> None:
    done = run("evaluate", "--models-dir", published, "--labels", STORIES)

    assert done.status == 0
    assert "259 articles" in done.out
    assert "184 queries of 42 stories" in done.out
    assert "nDCG" in done.out
    assert "Coverage" in done.out


def test_evaluate_writes_its_report_as_json(run: Run, published: Path, tmp_path: Path) -> None:
    done = run("evaluate", "--models-dir", published, "--labels", STORIES, "--json", "report.json")

    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert done.status == 0
    assert report["model_version"] == current_version(published)
    assert report["systems"][0]["quality"]["ndcg_at_9"]["mean"] > 0.8


@pytest.mark.slow
def test_evaluate_prints_only_json(run: Run, published: Path) -> None:
    version = current_version(published)

    done = run("evaluate", "--models-dir", published, "--version", version, "--json", "-")

    assert done.status == 0
    assert done.json()["labels"] is None


def test_evaluate_trains_on_a_corpus_without_publishing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    (tmp_path / "pairs.csv").write_text("a,b,grade\na,b,2\n", encoding="utf-8")

    done = run("evaluate", "rows.jsonl", "--labels", "pairs.csv", "--baselines", "--json", "-")

    report = done.json()
    assert done.status == 0
    assert report["query_ids"] == ["a", "b"]
    assert [system["name"] for system in report["systems"]] == [
        *("ours", "newest_in_category", "random_in_category", "shared_taxonomy", "sklearn_tfidf", "bm25"),
        *("terms_only", "latent_only"),
    ]
    assert not (tmp_path / "models").exists()


def test_evaluate_reports_invalid_labels(run: Run, published: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("id,topic\na,x\n", encoding="utf-8")

    done = run("evaluate", "--models-dir", published, "--labels", "labels.csv")

    assert (done.status, done.out) == (2, "")
    assert done.err.endswith("labels.csv has the columns id, topic; labels need id,story_id or a,b,grade\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe", "r.toml"], "--recipe requires CORPUS; a published version has its own recipe"),
        (["rows.jsonl", "--version", "v"], "--version and CORPUS cannot be combined"),
    ],
)
def test_evaluate_rejects_options_that_cannot_be_combined(
    run: Run, arguments: list[str], message: str
) -> None:
    done = run("evaluate", *arguments)

    assert done.status == 2
    assert message in done.err


@pytest.mark.slow
def test_evaluate_names_a_file_that_cannot_be_written(run: Run, published: Path) -> None:
    done = run("evaluate", "--models-dir", published, "--json", "none/report.json")

    assert done.status == 1
    assert "cannot write none/report.json: No such file or directory" in done.err
