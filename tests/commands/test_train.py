"""`recommender train` and `lint`: reading, publishing and messages."""

import csv
import hashlib
import json
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from recommender.artifact import FORMAT, current_version, open_current
from recommender.training import cluster
from tests.support.cli import ROWS, STORIES, Run


def test_train_prints_a_summary_of_one_screen(run: Run, corpus: Path) -> None:
    corpus.write_text(corpus.read_text() + '{"id": "d"}\n')

    ended = run("train", corpus, "--max-bad", "0.5", "--models-dir", "out")

    lines = [line.rstrip() for line in ended.out.splitlines()]
    assert ended.status == 0
    assert lines[:3] == [
        "Articles         3",
        "Refused rows     1 (neither title nor body 1)",
        "Refused fields   0",
    ]
    assert lines[-2] == f"Published        {current_version('out')}"
    assert len(lines) < 30
    assert all(
        f"{label} " in ended.out for label in ("Characters read", "Terms", "Topics", "Seconds", "Peak memory")
    )


def test_training_again_publishes_beside_the_old_version(run: Run, corpus: Path) -> None:
    run("train", corpus)
    first = current_version("models")

    run("train", corpus)

    assert current_version("models") != first
    assert open_current("models").manifest.corpus.articles == 3
    assert first in run("models", "list").out


def test_columns_are_mapped(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [["nid", "headline", "text"], *([r["id"], r["title"], r["body"]] for r in ROWS)]
        )

    ended = run("train", path, "--map", "id=nid", "--map", "title=headline", "--map", "body=text")

    assert ended.status == 0
    assert open_current("models").articles.article(0).body == ROWS[0]["body"]


@pytest.mark.parametrize(
    ("mapped", "status", "message"),
    [
        ("id", 2, "'id' is not NAME=THEIRS"),
        ("=nid", 2, "'=nid' is not NAME=THEIRS"),
        ("identity=nid", 1, "error: there is no column 'identity' to map; the columns are id title body"),
    ],
)
def test_an_invalid_mapping_is_named(run: Run, corpus: Path, mapped: str, status: int, message: str) -> None:
    ended = run("train", corpus, "--map", mapped)

    assert ended.status == status
    assert message in ended.err
    assert ended.out == ""


def test_a_recipe_is_followed(run: Run, corpus: Path) -> None:
    Path("recipe.toml").write_text("[neighbors]\nk = 1\n")

    assert run("train", corpus, "--recipe", "recipe.toml").status == 0
    assert open_current("models").manifest.recipe.neighbors.k == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[terms]\ntitel_weight = 3",
            "recipe.toml: terms.titel_weight: unknown key; did you mean title_weight?",
        ),
        ("[topics]\nweight = 2", "recipe.toml: topics.weight = 2: Input should be less than or equal to 1"),
        ("seed = ", "recipe.toml is not TOML: Invalid value"),
    ],
)
def test_an_invalid_recipe_is_rejected_with_its_key(run: Run, corpus: Path, text: str, message: str) -> None:
    Path("recipe.toml").write_text(text)

    ended = run("train", corpus, "--recipe", "recipe.toml")

    assert (ended.status, ended.out) == (2, "")
    assert f"error: {message}" in ended.err
    assert not Path("models").exists()


@pytest.mark.parametrize("option", ["--recipe", "--labels", "--baseline"])
@pytest.mark.parametrize("content", [None, "=", "id;story", "\x00", "[[["])
def test_an_unusable_file_in_an_option_is_a_usage_error(
    run: Run, corpus: Path, option: str, content: str | None
) -> None:
    if content is not None:
        Path("file").write_text(content)
    ended = run("train", corpus, option, "file")

    assert (ended.status, ended.out) == (2, "")
    assert "error: " in ended.err
    assert not Path("models").exists()


def test_a_corpus_that_is_missing_empty_or_unreadable_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and then nothing")
    (tmp_path / "noise.csv").write_bytes(bytes(range(256)))

    for name in ("missing.jsonl", "empty.jsonl", "folder", "cut.parquet", "noise.csv"):
        ended = run("train", tmp_path / name)

        assert (ended.status, ended.out) == (1, "")
        assert ended.err.splitlines()[-1].startswith("error: ")
        assert name in ended.err
    assert not Path("models").exists()


def test_a_bad_corpus_keeps_the_old_version_current(run: Run, corpus: Path, tmp_path: Path) -> None:
    run("train", corpus)
    version = current_version("models")
    (tmp_path / "bad.jsonl").write_text('{"id": 1, "title": "The"}\nnot JSON\n')

    ended = run("train", tmp_path / "bad.jsonl")

    assert ended.status == 1
    assert "1 of 2 rows are refused (50.0%, more than the 5.0% allowed)" in ended.err
    assert open_current("models").manifest.version == version


def test_too_little_text_is_rejected(run: Run, tmp_path: Path) -> None:
    (tmp_path / "thin.jsonl").write_text('{"id": 1, "title": "The and of", "lang": "en"}\n')

    ended = run("train", tmp_path / "thin.jsonl")

    assert ended.status == 1
    assert "error: no term occurs in 1 to 20 of the 1 articles" in ended.err


def test_a_models_folder_that_cannot_be_written_is_named(run: Run, corpus: Path) -> None:
    ended = run("train", corpus, "--models-dir", corpus)

    assert (ended.status, ended.out) == (1, "")
    assert f"error: cannot publish to {corpus}: {corpus}: Not a directory" in ended.err


def test_lint_reports_problems_and_exits_with_0(run: Run, corpus: Path) -> None:
    corpus.write_text(corpus.read_text() + json.dumps(ROWS[0]) + "\n")

    linted = run("lint", corpus)
    ended = run("lint", corpus, "--json")

    assert (linted.status, ended.status) == (0, 0)
    assert "duplicate id" in linted.out
    assert ended.json()["articles"] == 3


def test_lint_does_not_call_an_empty_corpus_good(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": 1, "title": "T", "status": "draft"}\n')

    linted = run("lint", tmp_path)

    assert "There is no article to train on." in linted.out
    assert "Not articles: draft 1" in linted.out


@pytest.mark.slow
def test_training_again_keeps_the_slugs_of_the_current_model(run: Run, published_copy: Path) -> None:
    sample = files("recommender") / "sample" / "articles.jsonl"
    manifest_before = open_current(published_copy).manifest

    done = run("train", sample, "--models-dir", published_copy)

    manifest = open_current(published_copy).manifest
    assert (done.status, "note" in done.err) == (0, False)
    assert manifest.version != manifest_before.version
    assert manifest.topics == manifest_before.topics


def test_a_damaged_model_gives_no_slugs_and_does_not_prevent_training(
    run: Run, corpus: Path, published_copy: Path
) -> None:
    spoilt = published_copy / current_version(published_copy) / "articles.ids.utf8.npy"
    spoilt.write_bytes(spoilt.read_bytes()[:-1] + b"!")

    done = run("train", corpus, "--models-dir", published_copy)

    assert done.status == 0
    message = " ".join(done.err.split())
    assert "note: the model is not compared with the previous one, and topics get new slugs: " in message
    assert f"{spoilt} was altered" in message
    assert len(open_current(published_copy).articles) == len(ROWS)


def test_a_version_of_an_older_program_does_not_prevent_training(
    run: Run, corpus: Path, published_copy: Path
) -> None:
    older = current_version(published_copy)
    manifest = published_copy / older / "manifest.json"
    text = manifest.read_text().replace(f'"format": {FORMAT}', '"format": 1')
    digest = hashlib.sha256(text.encode()).hexdigest()
    manifest.write_text(text)
    manifest.with_name("manifest.sha256").write_text(f"{digest}\n")
    (published_copy / "CURRENT").write_text(f"{older} {digest}\n")
    refused = run("related", "1001", "--models-dir", published_copy)

    done = run("train", corpus, "--models-dir", published_copy)

    listed = run("models", "list", "--models-dir", published_copy)
    message = f"has format 1, this program reads {FORMAT}: run `recommender train`"
    assert (refused.status, message in " ".join(refused.err.split())) == (1, True)
    assert (done.status, message in " ".join(done.err.split())) == (0, True)
    assert (listed.status, message in " ".join(listed.err.split())) == (0, True)
    assert re.search(rf"{older} .*cannot be opened", listed.out)
    assert re.search(rf"{current_version(published_copy)} .* current", listed.out)


def test_labels_of_other_articles_are_rejected_before_training(run: Run, corpus: Path) -> None:
    done = run("train", corpus, "--labels", STORIES)

    assert done.status == 2
    assert "stories.csv: no two of the 3 articles belong together" in " ".join(done.err.split())
    assert "latent space" not in done.err


def _a_file(folder: Path) -> Path:
    folder.write_text("")
    return folder


def _below_a_file(folder: Path) -> Path:
    return _a_file(folder) / "models"


def _a_dangling_link(folder: Path) -> Path:
    folder.symlink_to("nowhere/models")
    return folder


def _a_folder_in_place_of(name: str) -> Callable[[Path], Path]:
    def made(folder: Path) -> Path:
        (folder / name).mkdir(parents=True)
        return folder

    return made


@pytest.mark.parametrize(
    "unusable",
    [
        *(_a_file, _below_a_file, _a_dangling_link),
        *(_a_folder_in_place_of("CURRENT"), _a_folder_in_place_of(".lock")),
        lambda _: Path("/proc/models"),
        lambda folder: folder / ("long" * 100),
    ],
)
def test_an_unusable_models_folder_is_reported_before_anything_is_read(
    run: Run, tmp_path: Path, unusable: Callable[[Path], Path]
) -> None:
    folder = unusable(tmp_path / "out")

    ended = run("train", tmp_path / "missing.jsonl", "--models-dir", folder)

    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith(f"error: cannot publish to {folder}")


def test_a_models_folder_is_created_only_when_something_is_published(run: Run, tmp_path: Path) -> None:
    run("train", tmp_path / "missing.jsonl", "--models-dir", "a/b/models")

    assert not Path("a").exists()


@pytest.mark.parametrize("obstacle", [".refused", ".refused/x"])
def test_a_refused_model_exits_with_3_even_if_its_report_cannot_be_written(
    run: Run, corpus: Path, obstacle: str
) -> None:
    Path("strict.toml").write_text("[gate]\nmin_articles = 4\n")
    Path("models").mkdir()
    if obstacle == ".refused":
        Path("models/.refused").write_text("a file")
    else:
        Path("models/.refused").symlink_to("/proc/none")

    ended = run("train", corpus, "--recipe", "strict.toml")

    assert ended.status == 3
    assert "no report written" in ended.out
    *_, report, reason = ended.err.splitlines()
    assert report.startswith("report: cannot write the report to models/.refused")
    assert reason.startswith("refused by quality gate: articles 3, not at least 4")


@pytest.mark.parametrize("command", ["train", "lint", "evaluate"])
def test_a_status_that_nobody_has_decided_ends_with_status_2(run: Run, tmp_path: Path, command: str) -> None:
    path = tmp_path / "export.csv"
    path.write_text("id,title,Status\n1,Quay,publish\n2,Mayor,Korrektur\n")

    ended = run(command, path)

    assert (ended.status, ended.out) == (2, "")
    assert f"'korrektur' (1 rows, first row 3 of {path})" in ended.err.replace("\n", " ")
    assert "--public Status=publish,korrektur" in ended.err
    assert "--not-visibility Status" in ended.err


def test_the_public_values_of_a_column_are_options(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("id,title,Status\n1,Quay,publish\n2,Mayor,Korrektur\n3,Ferry,1\n")

    listed = run("lint", path, "--json", "--public", "status=publish,1")
    ignored = run("lint", path, "--json", "--not-visibility", "status")
    wrong = run("lint", path, "--public", "status")

    assert json.loads(listed.out)["skipped"] == {"korrektur": 1}
    assert json.loads(ignored.out)["articles"] == 3
    assert (wrong.status, "'status' is not COLUMN=VALUE,VALUE" in wrong.err) == (2, True)


def test_a_date_that_cannot_be_read_is_refused_until_its_format_is_given(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("id,title,published_at,status\n1,Quay,03.12.2026 06:00,scheduled\n2,Ferry,03.11.2026,\n")

    refused = run("train", path)
    given = run("lint", path, "--json", "--date-format", "day-first")
    formats = run("lint", path, "--json", "--date-format", "%d.%m.%Y", "--date-format", "%d.%m.%Y %H:%M")
    wrong = run("lint", path, "--date-format", "%d.%m.")

    assert refused.status == 1
    assert "2 of 2 rows are refused" in refused.err
    assert "--date-format day-first" in refused.err.replace("\n", " ")
    assert json.loads(given.out)["articles"] == json.loads(formats.out)["articles"] == 2
    assert (wrong.status, "'%d.%m.' is not day-first" in wrong.err) == (2, True)


def test_options_raise_the_limits_of_one_command(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"id": "b", "body": "y" * size}) + "\n" for size in (1, 2 << 20)))

    refused = run("lint", path, "--max-row-mib", 1)
    accepted = run("lint", path, "--max-row-mib", 3)

    assert (refused.status, accepted.status) == (1, 0)
    assert "a.jsonl: line 2 has over 1 MiB unpacked" in "".join(refused.err.split("\n"))
    assert run("lint", path).status == 0


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("tcp://127.0.0.1:1", "error: no Dask scheduler responds at tcp://127.0.0.1:1: "),
        ("http://127.0.0.1", "error: no Dask scheduler responds at http://127.0.0.1: "),
    ],
)
def test_a_scheduler_that_does_not_respond_is_named(
    run: Run, corpus: Path, monkeypatch: pytest.MonkeyPatch, address: str, message: str
) -> None:
    monkeypatch.setattr(cluster, "_CONNECT_SECONDS", 0.2)

    ended = run("train", corpus, "--scheduler", address)

    assert ended.status == 1
    assert ended.err.startswith(message)
    assert len(ended.err.splitlines()) == 1
