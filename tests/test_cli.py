"""The command line: exit statuses, clean stdout, and messages that name the value and the cure."""

import csv
import hashlib
import io
import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from recommender.artifact import current_version, open_current
from recommender.cli import cli, main
from recommender.serving.app import create_app
from recommender.serving.lists import DIVERSITY, FRESHNESS
from recommender.serving.schemas import RelatedParameters, Text
from recommender.settings import Settings

ROWS = [
    {"id": "a", "title": "Harbour ferry stops in winter", "body": "The island waits for the ferry."},
    {"id": "b", "title": "Island ferry timetable", "body": "The ferry sails from the harbour."},
    {"id": "c", "title": "Theft at the castle", "body": "The court heard of a theft."},
]
TRAINING_LIBRARIES = (
    "joblib",
    "lxml",
    "numba",
    "pandas",
    "pyarrow",
    "sklearn",
    "stop_words",
    "threadpoolctl",
)


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    status: object
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Return a function that runs the command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)

    def command(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["recommender", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return Ended(ended.value.code, *capsys.readouterr())

    return command


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def in_a_process(*command: object, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **options)


def without_training_libraries(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command where the train extra is not installed."""
    code = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {TRAINING_LIBRARIES}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from recommender.cli import main
from recommender.serving.app import create_app
from recommender.settings import Settings
main()
"""
    return in_a_process(sys.executable, "-c", code, *arguments)


@pytest.mark.slow
def test_the_sample_is_trained_published_and_answers_as_a_process(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("recommender")
    sample = str(files("recommender") / "sample" / "articles.jsonl")

    trained = in_a_process(command, "train", sample, cwd=tmp_path)
    related = in_a_process(sys.executable, "-m", "recommender", "related", "1001", "--json", cwd=tmp_path)

    assert (trained.returncode, related.returncode, related.stderr) == (0, 0, "")
    assert "Articles         259" in trained.stdout
    assert current_version(tmp_path / "models") in trained.stdout
    assert "neighbours" in trained.stderr
    assert json.loads(related.stdout)["returned"] == 9


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
    assert lines[-1] == f"Published        {current_version('out')}"
    assert len(lines) < 30
    assert all(
        f"{told} " in ended.out for told in ("Characters read", "Terms", "Topics", "Seconds", "Peak memory")
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
    ("mapped", "status", "told"),
    [
        ("id", 2, "'id' is not NAME=THEIRS"),
        ("=nid", 2, "'=nid' is not NAME=THEIRS"),
        ("identity=nid", 1, "error: there is no column 'identity' to fill; ours are id title body"),
    ],
)
def test_a_wrong_mapping_is_named(run: Run, corpus: Path, mapped: str, status: int, told: str) -> None:
    ended = run("train", corpus, "--map", mapped)

    assert ended.status == status
    assert told in ended.err
    assert ended.out == ""


def test_a_recipe_is_followed(run: Run, corpus: Path) -> None:
    Path("recipe.toml").write_text("[neighbors]\nk = 1\n")

    assert run("train", corpus, "--recipe", "recipe.toml").status == 0
    assert open_current("models").manifest.recipe.neighbors.k == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[terms]\nmin_dff = 3", "recipe.toml: terms.min_dff = 3: Extra inputs are not permitted"),
        ("[topics]\nweight = 2", "recipe.toml: topics.weight = 2: Input should be less than or equal to 1"),
        ("seed = ", "recipe.toml is not TOML: Invalid value"),
    ],
)
def test_a_wrong_recipe_is_refused_by_its_key(run: Run, corpus: Path, text: str, told: str) -> None:
    Path("recipe.toml").write_text(text)

    ended = run("train", corpus, "--recipe", "recipe.toml")

    assert (ended.status, ended.out) == (1, "")
    assert f"error: {told}" in ended.err
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


def test_a_bad_corpus_leaves_the_old_model_in_service(run: Run, corpus: Path, tmp_path: Path) -> None:
    run("train", corpus)
    version = current_version("models")
    (tmp_path / "bad.jsonl").write_text('{"id": 1, "title": "The"}\nnot JSON\n')

    ended = run("train", tmp_path / "bad.jsonl")

    assert ended.status == 1
    assert "1 of 2 rows are refused (50.0%, more than the 5.0% allowed)" in ended.err
    assert open_current("models").manifest.version == version


def test_too_little_text_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "thin.jsonl").write_text('{"id": 1, "title": "The and of", "lang": "en"}\n')

    ended = run("train", tmp_path / "thin.jsonl")

    assert ended.status == 1
    assert "error: no term stands in 1 to 20 of the 1 articles" in ended.err


def test_a_models_folder_that_cannot_be_written_is_named(run: Run, corpus: Path) -> None:
    ended = run("train", corpus, "--models-dir", corpus)

    assert (ended.status, ended.out) == (1, "")
    assert f"error: cannot publish to {corpus}: File exists" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["train"],
        ["train", "x.jsonl", "--threads", "0"],
        ["train", "x.jsonl", "--max-bad", "2"],
        ["serve", "--port", "99999"],
        ["serve", "--workers", "no"],
        ["related"],
        ["related", "1", "--bogus"],
        ["models", "prune"],
        ["frobnicate"],
    ],
)
def test_wrong_use_ends_with_2_and_names_what_is_wrong(run: Run, arguments: list[str]) -> None:
    ended = run(*arguments)

    assert (ended.status, ended.out) == (2, "")
    assert "Error: " in ended.err
    assert arguments[-1] in ended.err or "Missing argument" in ended.err


def test_help_and_version_are_answered(run: Run) -> None:
    assert run("--version").out.endswith(f"version {installed_version('recommender')}\n")
    assert run("-h").status == 0
    for command in ("train", "serve", "related", "similar", "lint", "models"):
        assert run(command, "--help").status == 0
        assert command in run("--help").out


def test_related_prints_the_list_as_json_and_nothing_else(run: Run, published: Path) -> None:
    ended = run("related", "1001", "--json", "--limit", "3", "--models-dir", published)

    answer = ended.json()
    assert (ended.status, ended.err) == (0, "")
    assert (answer["article_id"], answer["requested"], answer["returned"]) == ("1001", 3, 3)
    assert answer["model"]["version"] == current_version(published)
    assert [item["source"] for item in answer["items"]] == ["similar"] * 3
    assert "1001" not in {item["id"] for item in answer["items"]}


def test_related_prints_a_table(run: Run, published: Path) -> None:
    answer = run("related", "1001", "--json", "--models-dir", published).json()

    ended = run("related", "1001", "--models-dir", published)

    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("Related to 'Sandrigg draws names from a lobster pot for beach huts'\n")
    similar = [item for item in answer["items"] if item["source"] == "similar"]
    assert len(similar) > 1
    for item in similar:
        assert f"{item['score']:.3f}   {item['id']}" in ended.out
    assert f"9 of {answer['eligible']} eligible articles · model {current_version(published)}" in ended.out


def test_related_takes_the_filters_of_http(run: Run, published: Path) -> None:
    everything = run("related", "1001", "--json", "--models-dir", published).json()
    best = everything["items"][0]["id"]

    answer = run(
        "related", "1001", "--json", "--models-dir", published,
        "--exclude", best, "--exclude", "1002", "--category", "politics", "--lang", "any", "--limit", "50",
    ).json()  # fmt: skip

    assert {item["category"] for item in answer["items"]} == {"Politics"}
    assert not {best, "1001", "1002"} & {item["id"] for item in answer["items"]}
    assert answer["returned"] == min(50, answer["eligible"])


def test_every_parameter_of_a_list_is_an_option() -> None:
    for command, schema in ((cli.commands["related"], RelatedParameters), (cli.commands["similar"], Text)):
        options = {parameter.name for parameter in command.params}

        assert set(schema.model_fields) <= options


def test_the_defaults_told_are_the_defaults(run: Run) -> None:
    told = {
        line.split()[0]: line for line in run("related", "--help").out.splitlines() if "[default:" in line
    }

    for name, value in (("limit", 9), ("freshness", FRESHNESS), ("diversity", DIVERSITY)):
        assert told[f"--{name}"].endswith(f"[default: {value:g}]")


PARAMETERS = {
    "mode": "background",
    "freshness": "0.5",
    "diversity": "0.3",
    "min_similarity": "0.05",
    "published_before": "2026-06-01",
    "published_after": "2024-01-01",
    "fallback": "none",
}


def test_the_parameters_shape_a_printed_list_as_over_http(run: Run, published: Path) -> None:
    options = [part for name, value in PARAMETERS.items() for part in (f"--{name.replace('_', '-')}", value)]
    client = create_app(Settings(models_dir=published)).test_client()

    listed = run("related", "1048", *options, "--json", "--models-dir", published).json()
    text = run("similar", "--title", "Ferry", *options, "--json", "--models-dir", published).json()

    asked = PARAMETERS | {"id": "1048"}
    assert listed["items"] == client.get("/v1/related", query_string=asked).get_json()["items"]
    posted = client.post("/v1/similar", json=PARAMETERS | {"title": "Ferry"}).get_json()
    assert text["items"] == posted["items"] != []
    assert listed["items"]


def test_reasons_are_printed(run: Run, published: Path) -> None:
    arguments = ["related", "1001", "--limit", "1", "--explain", "--models-dir", published]

    table, answer = run(*arguments), run(*arguments, "--json").json()

    why = answer["items"][0]["why"]
    assert f"{why['terms'][0]['term']} {why['terms'][0]['contribution']:+.3f}" in table.out
    assert f"freshness {why['freshness']:+.3f}" in " ".join(table.out.split())


def test_an_unknown_article_falls_back_to_the_newest_where_asked(run: Run, published: Path) -> None:
    ended = run("related", "no-such", "--unknown", "fallback", "--limit", "2", "--models-dir", published)

    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("The newest articles\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["no-such"], "no article 'no-such'"),
        ([".."], "'..'"),
        (["1001", "--limit", "0"], "limit is '0'; allowed: a whole number from 1 to 50"),
        (["1001", "--limit", "1e9"], "limit is '1e9'; allowed: a whole number from 1 to 50"),
        (["1001", "--category", "Sports"], "no category is called 'Sports'"),
        (["1001", "--max-age-days", "soon"], "max_age_days is 'soon'; allowed: a number from 0 to 36525"),
        (
            ["1001", "--freshness", "0.123"],
            "freshness is '0.123'; allowed: a number from 0 to 1 with at most",
        ),
        (["1001", "--mode", "older"], "mode is 'older'; allowed: 'related', 'background'"),
        (["1001", "--lang", "english"], "lang is 'english'; allowed: 'any' or a language code"),
    ],
)
def test_a_wrong_value_is_named_on_stderr(run: Run, published: Path, arguments: list[str], told: str) -> None:
    ended = run("related", *arguments, "--json", "--models-dir", published)

    assert ended.status in {1, 2}
    assert ended.out == ""
    assert ended.err.startswith("error: ")
    assert told in ended.err
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["related", "1001"], ["similar", "--title", "x"]])
def test_a_wrong_limit_is_wrong_use(run: Run, published: Path, arguments: list[str]) -> None:
    statuses = [
        run(*arguments, "--limit", limit, "--models-dir", published).status for limit in ("abc", "0", "1e9")
    ]

    assert statuses == [2, 2, 2]


def test_an_id_is_taken_as_it_is(run: Run, tmp_path: Path) -> None:
    ids = ["a/related", "a,b", "https://x/y//z", "/abs", "%2F", "日本 🗞", "a&id=b", "-1"]
    rows = [{"id": i, "title": f"Harbour ferry number{n}"} for n, i in enumerate(ids)]
    (tmp_path / "odd.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run("train", "odd.jsonl")

    for article_id in ids:
        assert run("related", "--json", "--", article_id).json()["article_id"] == article_id


def test_similar_finds_what_a_text_is_about(run: Run, published: Path) -> None:
    text = ["--title", "Ferry", "--body", "<p>The island ferry sails in winter.</p>"]

    ended = run("similar", *text, "--json", "--limit", "5", "--models-dir", published)
    table = run("similar", *text, "--limit", "5", "--models-dir", published)

    answer = ended.json()
    assert (ended.status, ended.err) == (0, "")
    assert (answer["article_id"], answer["returned"]) == (None, 5)
    assert "ferry" in answer["items"][0]["title"].lower()
    assert table.out.startswith("Similar to the text\n")
    assert answer["items"][0]["id"] in table.out


def test_similar_reads_a_body_from_stdin(run: Run, published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("The island ferry sails in winter."))

    piped = run("similar", "--body", "-", "--json", "--models-dir", published).json()
    given = run(
        "similar", "--body", "The island ferry sails in winter.", "--json", "--models-dir", published
    ).json()

    assert piped["items"] == given["items"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "title is ''; allowed: a title or a body that holds text"),
        (["--title", "<b></b>"], "title is '<b></b>'; allowed: a title or a body that holds text"),
        (["--title", "x", "--limit", "51"], "limit is '51'; allowed: a whole number from 1 to 50"),
        (["--title", "x", "--limit", "many"], "limit is 'many'; allowed: a whole number from 1 to 50"),
    ],
)
def test_a_text_that_cannot_be_compared_is_refused(
    run: Run, published: Path, arguments: list[str], told: str
) -> None:
    ended = run("similar", *arguments, "--models-dir", published)

    assert ended.status in {1, 2}
    assert ended.out == ""
    assert told in ended.err


def test_without_a_model_every_command_says_what_to_run(run: Run) -> None:
    for command in (["related", "1"], ["similar", "--title", "x"], ["models", "list"], ["models", "verify"]):
        ended = run(*command)

        assert (ended.status, ended.out) == (1, "")
        assert ended.err == "error: no published model in models; run `make train` or `recommender train`\n"


def test_versions_are_listed_and_verified(run: Run, published: Path) -> None:
    version = current_version(published)

    listed = run("models", "list", "--models-dir", published)

    assert listed.status == 0
    assert [line.split()[0] for line in listed.out.splitlines() if "current" in line] == [version]
    for named in ([], [version]):
        assert run("models", "verify", *named, "--models-dir", published).out.startswith(f"{version}: 6")
    assert run("models", "verify", "20200101T000000Z-00000000", "--models-dir", published).status == 1


def test_an_altered_version_fails_to_verify_by_the_name_of_its_file(run: Run, published_copy: Path) -> None:
    path = published_copy / current_version(published_copy) / "articles.titles.utf8.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"!")

    for command in (["models", "verify"], ["related", "1001"]):
        ended = run(*command, "--models-dir", published_copy)

        assert (ended.status, ended.out) == (1, "")
        assert ended.err.startswith(f"error: {path} was altered after publishing: restore")


def test_lint_reports_and_ends_with_0(run: Run, corpus: Path) -> None:
    corpus.write_text(corpus.read_text() + json.dumps(ROWS[0]) + "\n")

    told = run("lint", corpus)
    ended = run("lint", corpus, "--json")

    assert (told.status, ended.status) == (0, 0)
    assert "duplicate id" in told.out
    assert ended.json()["articles"] == 3


def test_serving_commands_need_no_training_library(published: Path) -> None:
    for command in (["related", "1001"], ["similar", "--title", "ferry"]):
        ended = without_training_libraries(*command, "--json", "--models-dir", published)

        assert (ended.returncode, ended.stderr) == (0, "")
        assert json.loads(ended.stdout)["returned"] == 9


@pytest.mark.parametrize("command", ["train", "lint"])
def test_without_the_train_extra_training_says_what_to_install(corpus: Path, command: str) -> None:
    ended = without_training_libraries(command, corpus)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("error: this needs ")
    assert ended.stderr.endswith(": pip install 'recommender[train]'\n")


STORIES = files("recommender") / "sample" / "stories.csv"


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


def test_evaluate_prints_json_alone(run: Run, published: Path) -> None:
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
        *("ours", "newest_in_section", "random_in_section", "shared_taxonomy", "sklearn_tfidf", "bm25"),
        *("terms_only", "latent_only"),
    ]
    assert not (tmp_path / "models").exists()


def test_evaluate_says_what_is_wrong_with_labels(run: Run, published: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("id,topic\na,x\n", encoding="utf-8")

    done = run("evaluate", "--models-dir", published, "--labels", "labels.csv")

    assert (done.status, done.out) == (1, "")
    assert done.err.endswith("labels.csv has the columns id, topic; labels have id,story_id or a,b,grade\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--recipe", "r.toml"], "--recipe is for a model trained on CORPUS"),
        (["rows.jsonl", "--version", "v"], "--version names a published model"),
    ],
)
def test_evaluate_refuses_options_that_have_no_meaning(run: Run, arguments: list[str], told: str) -> None:
    done = run("evaluate", *arguments)

    assert done.status == 2
    assert told in done.err


def test_evaluate_says_where_it_cannot_write(run: Run, published: Path) -> None:
    done = run("evaluate", "--models-dir", published, "--json", "none/report.json")

    assert done.status == 1
    assert "cannot write none/report.json: No such file or directory" in done.err


def test_topics_are_printed_largest_first_with_a_headline_of_each(run: Run, published: Path) -> None:
    table, answer = (
        run("topics", "--models-dir", published),
        run("topics", "--models-dir", published, "--json"),
    )
    topics = answer.json()["topics"]

    assert (table.status, table.err, answer.status) == (0, "", 0)
    assert table.out.split()[:5] == ["Topic", "Articles", "Terms", "For", "example"]
    assert table.out.rstrip().endswith(f"{len(topics)} topics · model {answer.json()['model_version']}")
    assert [topic["articles"] for topic in topics] == sorted((t["articles"] for t in topics), reverse=True)
    assert all(topic["terms"][0].split()[0] in table.out for topic in topics)


def test_topics_answer_as_http_does(run: Run, published: Path) -> None:
    client = create_app(Settings(models_dir=published)).test_client()

    assert run("topics", "--models-dir", published, "--json").json() == client.get("/v1/topics").get_json()


def test_topics_without_a_model_say_what_to_run(run: Run) -> None:
    done = run("topics")

    assert (done.status, done.out) == (1, "")
    assert "run `make train`" in done.err


def test_training_again_keeps_the_slugs_of_the_current_model(run: Run, published_copy: Path) -> None:
    sample = files("recommender") / "sample" / "articles.jsonl"
    manifest_before = open_current(published_copy).manifest

    done = run("train", sample, "--models-dir", published_copy)

    manifest = open_current(published_copy).manifest
    assert (done.status, "note" in done.err) == (0, False)
    assert manifest.version != manifest_before.version
    assert manifest.topics == manifest_before.topics


def test_a_spoilt_model_gives_no_slugs_and_stops_no_training(
    run: Run, corpus: Path, published_copy: Path
) -> None:
    spoilt = published_copy / current_version(published_copy) / "articles.ids.utf8.npy"
    spoilt.write_bytes(spoilt.read_bytes()[:-1] + b"!")

    done = run("train", corpus, "--models-dir", published_copy)

    assert done.status == 0
    told = " ".join(done.err.split())
    assert "note: nothing is compared with the previous model, and topics keep no slugs of it: " in told
    assert f"{spoilt} was altered" in told
    assert len(open_current(published_copy).articles) == len(ROWS)


def test_a_version_of_an_older_program_stops_no_training(
    run: Run, corpus: Path, published_copy: Path
) -> None:
    older = current_version(published_copy)
    manifest = published_copy / older / "manifest.json"
    text = manifest.read_text().replace('"format": 2', '"format": 1')
    digest = hashlib.sha256(text.encode()).hexdigest()
    manifest.write_text(text)
    manifest.with_name("manifest.sha256").write_text(f"{digest}\n")
    (published_copy / "CURRENT").write_text(f"{older} {digest}\n")
    refused = run("related", "1001", "--models-dir", published_copy)

    done = run("train", corpus, "--models-dir", published_copy)

    listed = run("models", "list", "--models-dir", published_copy)
    told = "has format 1, this program reads 2: run `recommender train`"
    assert (refused.status, told in " ".join(refused.err.split())) == (1, True)
    assert (done.status, told in " ".join(done.err.split())) == (0, True)
    assert (listed.status, told in " ".join(listed.err.split())) == (0, True)
    assert re.search(rf"{older} +cannot be opened", listed.out)
    assert re.search(rf"{current_version(published_copy)} .* current", listed.out)


def test_a_port_that_is_taken_is_refused_by_its_number(run: Run, published: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        ended = run("serve", "--port", str(port), "--models-dir", published)

    assert ended.status == 1
    assert f"cannot listen on 127.0.0.1:{port}" in ended.err


# The quality gate

SAMPLE = files("recommender") / "sample" / "articles.jsonl"
SABOTAGE = "[terms]\ntitle_weight = 0\n"


def test_a_refused_model_ends_with_3_and_leaves_the_old_one_in_service(
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
    assert "headlines found, was → is" in " ".join(done.out.split())
    assert "\nRefused   " in done.out
    assert reports[0].name in "".join(done.out.split())
    assert run("models", "list", "--models-dir", published_copy).status == 0
    assert run("related", "1001", "--models-dir", published_copy).status == 0


def test_a_model_is_refused_in_an_empty_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "sabotage.toml").write_text(SABOTAGE)

    done = run("train", SAMPLE, "--recipe", "sabotage.toml")

    assert done.status == 3
    assert re.search(r"refused by quality gate: headlines found 0\S*, not at least 0.1", done.err)
    assert sorted(path.name for path in Path("models").iterdir()) == [".lock", ".refused"]
    assert run("related", "1001").err.startswith("error: no published model in models; run")


def test_no_gate_publishes_and_the_manifest_tells(run: Run, published_copy: Path, tmp_path: Path) -> None:
    (tmp_path / "sabotage.toml").write_text(SABOTAGE)
    before = current_version(published_copy)

    done = run("train", SAMPLE, "--recipe", "sabotage.toml", "--no-gate", "--models-dir", published_copy)

    manifest = open_current(published_copy).manifest
    assert (done.status, manifest.version != before) == (0, True)
    assert manifest.gate is not None
    assert (manifest.gate.outcome, manifest.gate.compared_with) == ("overridden", before)
    assert re.fullmatch(r"headlines found 0\S*, not at least 0.1", manifest.gate.reasons[0])
    assert "REFUSED" in done.out


def test_the_manifest_keeps_what_was_measured(run: Run, published_copy: Path) -> None:
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


def test_a_model_is_compared_with_the_version_that_is_named(run: Run, published_copy: Path) -> None:
    first = current_version(published_copy)
    run("train", SAMPLE, "--models-dir", published_copy)

    done = run("train", SAMPLE, "--baseline", first, "--models-dir", published_copy)

    assert done.status == 0
    gate = open_current(published_copy).manifest.gate
    assert gate is not None
    assert gate.compared_with == first


def test_a_model_is_compared_with_a_report(run: Run, published: Path, tmp_path: Path) -> None:
    (tmp_path / "sabotage.toml").write_text(SABOTAGE)
    run("evaluate", "--models-dir", published, "--labels", STORIES, "--json", "report.json")

    same = run("train", SAMPLE, "--baseline", "report.json", "--labels", STORIES)
    worse = run("train", SAMPLE, "--baseline", "report.json", "--recipe", "sabotage.toml")

    assert (same.status, worse.status) == (0, 3)
    assert "nDCG at 9, was → is" in " ".join(same.out.split())
    assert "compared with report.json" in same.out
    assert "headlines found 1.000 before, 0.0" in worse.err


@pytest.mark.parametrize(
    ("baseline", "told"),
    [
        ("20200101T000000Z-00000000", "names no version in models, and no file (No such file or directory)"),
        ("broken.json", "is no report of `recommender evaluate --json`: Invalid JSON: "),
        ("other.json", "is no report of `recommender evaluate --json`: format: Field required"),
        (".", "names no version in models, and no file (Is a directory)"),
        ("", "names no version in models, and no file (Is a directory)"),
        ("another.json", "knows none of the 3 articles of the corpus"),
    ],
)
def test_a_wrong_baseline_is_wrong_use(
    run: Run, corpus: Path, published: Path, tmp_path: Path, baseline: str, told: str
) -> None:
    (tmp_path / "broken.json").write_text('{"format": 1')
    (tmp_path / "other.json").write_text('{"topics": []}')
    if baseline == "another.json":
        run("evaluate", "--models-dir", published, "--json", baseline)

    done = run("train", corpus, "--baseline", baseline)

    assert (done.status, done.out) == (2, "")
    assert done.err.splitlines()[-1].startswith(f"error: --baseline {baseline} ")
    assert told in done.err.replace("\n", " ")
    assert not Path("models").exists()


def test_another_sites_articles_are_published_after_the_demo(
    run: Run, corpus: Path, published_copy: Path
) -> None:
    before = current_version(published_copy)

    done = run("train", corpus, "--models-dir", published_copy)

    gate = open_current(published_copy).manifest.gate
    assert done.status == 0
    assert gate is not None
    assert (gate.outcome, gate.compared_with) == ("passed", None)
    assert gate.not_compared == f"nothing in common with {before}: not compared"
    assert gate.not_compared in " ".join(done.out.split())


def test_a_version_of_another_site_is_a_wrong_baseline(run: Run, corpus: Path, published: Path) -> None:
    version = current_version(published)

    done = run("train", corpus, "--baseline", version, "--models-dir", published)

    told = f"error: --baseline {version} knows none of the 3 articles of the corpus"
    assert (done.status, done.err.splitlines()[-1]) == (2, told)


def test_an_evaluation_of_an_older_program_is_no_baseline(run: Run, corpus: Path, published: Path) -> None:
    run("evaluate", "--models-dir", published, "--json", "report.json")
    report = json.loads(Path("report.json").read_text(encoding="utf-8")) | {"drawn": None}
    Path("report.json").write_text(json.dumps(report), encoding="utf-8")

    done = run("train", corpus, "--baseline", "report.json")

    assert done.status == 2
    assert "report.json keeps no single articles: evaluate again with --json" in done.err


def test_labels_of_other_articles_are_told_before_training(run: Run, corpus: Path) -> None:
    done = run("train", corpus, "--labels", STORIES)

    assert done.status == 1
    assert "stories.csv: no two of the 3 articles belong together" in " ".join(done.err.split())
    assert "latent space" not in done.err


def test_the_floors_of_a_recipe_are_asked_for(run: Run, corpus: Path) -> None:
    Path("strict.toml").write_text("[gate]\nmin_articles = 4\nmax_refused_rows = 0.0\n")
    corpus.write_text(corpus.read_text() + '{"id": "d"}\n')

    done = run("train", corpus, "--recipe", "strict.toml", "--max-bad", "0.5")

    assert done.status == 3
    assert done.err.splitlines()[-1] == (
        "refused by quality gate: articles 3, not at least 4; refused rows 0.25, not at most 0"
    )
