"""Reporting commands print a complete table, or JSON, CSV or Markdown; they never overwrite their input."""

import csv
import io
import json
import shlex
from pathlib import Path

import pytest
from rich.console import Console

from recommender.cli import cli
from recommender.commands.output import Reporting
from recommender.sheets import Sheet
from tests.support.cli import ROWS, SAMPLE, STORIES, Run

LONG = "A title of a very long story that no terminal of ordinary width can ever show on one line"


def printed(sheet: Sheet, width: int) -> str:
    output = io.StringIO()
    Console(file=output, width=width).print(sheet)
    return output.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 160])
def test_a_table_has_every_figure_and_word_at_every_width(width: int) -> None:
    sheet = Sheet("Recipe", ">nDCG", ">Recall", ">Seconds", "<Version")
    sheet.add(LONG, ".947 [.910, .978]", ".959 [.922, .989]", "1,234.5", "20261130T122103Z")

    text = printed(sheet, width)

    for figure in (".947", "[.910, .978]", "[.922, .989]", "1,234.5", "20261130T122103Z", *LONG.split()):
        assert figure in text
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= max(width, len("Version  20261130T122103Z") + 2)


@pytest.mark.slow
def test_a_redirected_table_is_as_wide_as_its_longest_row(run: Run) -> None:
    Path("long.jsonl").write_text(
        "".join(json.dumps({**row, "title": f"{row['title']}, {LONG}"}) + "\n" for row in ROWS)
    )
    run("train", "long.jsonl")

    ended = run("related", "a")

    assert f"Island ferry timetable, {LONG}" in ended.out
    assert "…" not in ended.out


def test_every_reporting_command_has_the_three_formats() -> None:
    groups = {"rules", "models"}
    commands = {name: command for name, command in cli.commands.items() if name not in groups}
    for group in groups:
        commands |= {f"{group} {name}": sub for name, sub in cli.commands[group].commands.items()}  # type: ignore[attr-defined]

    reporting = {name for name, command in commands.items() if isinstance(command, Reporting)}

    assert reporting == {
        *("backtest", "compare", "doctor", "evaluate", "lint", "related", "search", "similar", "topics"),
        *("models diff", "models list", "models prune", "rules explain", "rules list"),
    }
    for name in reporting:
        options = {option for parameter in commands[name].params for option in parameter.opts}
        assert {"--json", "--csv", "--markdown"} <= options


def test_the_formats_have_the_same_rows(run: Run, published: Path, tmp_path: Path) -> None:
    arguments = ["related", "1001", "--limit", "3", "--models-dir", published]

    table = run(*arguments, "--csv", "list.csv", "--markdown=list", "--json", "list.json").out
    response = json.loads((tmp_path / "list.json").read_text())
    rows = list(csv.DictReader((tmp_path / "list.csv").read_text().splitlines()))
    lines = (tmp_path / "list").read_text().splitlines()

    ids = [item["id"] for item in response["items"]]
    assert [row["id"] for row in rows] == ids
    assert [line.split(" | ")[1] for line in lines[2:]] == ids
    assert float(rows[0]["score"]) == response["items"][0]["score"]
    assert table.startswith("Related to")
    assert run(*arguments, "--csv").out == (tmp_path / "list.csv").read_text()


def test_the_word_after_an_option_is_a_file_only_if_it_looks_like_one(run: Run, published: Path) -> None:
    before = run("related", "--json", "1001", "--models-dir", published)
    after = run("related", "--models-dir", published, "--json", "--", "1001")

    assert before.json() == after.json()


def test_an_input_is_never_taken_for_the_output(run: Run, corpus: Path) -> None:
    content = corpus.read_text()
    Path("a.json").write_text(content)

    ended = run("lint", "--json", "a.json", corpus)
    read = run("lint", "a.json", "--json")
    written = run("lint", corpus, "--json=a.json")

    assert (ended.status, ended.out) == (2, "")
    assert "write --json=a.json to replace it" in ended.err
    assert read.json()["rows_read"] == len(ROWS)
    assert written.status == 0
    assert json.loads(Path("a.json").read_text())["rows_read"] == len(ROWS)


def test_two_reports_are_not_mixed_on_standard_output(run: Run, published: Path) -> None:
    ended = run("topics", "--json", "--csv", "--models-dir", published)

    assert (ended.status, ended.out) == (2, "")
    assert "only one of --json and --csv can be printed" in ended.err


@pytest.mark.slow
def test_an_evaluation_as_csv_has_full_precision(run: Run, published: Path) -> None:
    arguments = ["evaluate", "--labels", STORIES, "--models-dir", published]

    report, text = run(*arguments, "--json").json(), run(*arguments, "--csv").out

    [row] = csv.DictReader(io.StringIO(text))
    assert float(row["ndcg_at_9_low"]) == report["systems"][0]["quality"]["ndcg_at_9"]["low"]
    assert float(row["coverage"]) == report["systems"][0]["health"]["coverage"]


@pytest.mark.parametrize(
    "words",
    [
        ["1001"],
        ["https://courier.example/politics/sandrigg-draws-names-from-a-lobster-pot-for-beach-huts"],
        ["lobster", "pot", "huts"],
        ["Sandrigg draws"],
    ],
)
def test_an_article_is_found_by_id_url_or_words_of_its_title(
    run: Run, published: Path, words: list[str]
) -> None:
    ended = run("related", *words, "--json", "--models-dir", published)

    assert (ended.status, ended.err, ended.json()["article_id"]) == (0, "", "1001")


def test_the_best_of_several_titles_is_used_and_the_others_are_named(run: Run, published: Path) -> None:
    ended = run("related", "Sandrigg", "--models-dir", published)
    unknown = run("related", "no", "such", "title", "--models-dir", published)

    assert ended.status == 0
    assert ended.err.startswith("note: other titles contain these words: ")
    assert (unknown.status, unknown.err) == (1, "error: no article 'no such title'\n")


def test_training_ends_with_the_next_command(run: Run, corpus: Path) -> None:
    ended = run("train", corpus, "--models-dir", "my models")

    command = ended.out.splitlines()[-1].removeprefix("Next: recommender ").partition(", or ")[0]
    assert command.endswith(" --models-dir 'my models'")
    assert run(*shlex.split(command)).status == 0


@pytest.mark.slow
def test_compare_prints_recipes_differences_and_changed_lists(run: Run) -> None:
    Path("flat.toml").write_text("[terms]\ntitle_weight = 1\n")
    arguments = ["compare", SAMPLE, "--recipe", "flat.toml", "--labels", STORIES]

    table, rows = run(*arguments), list(csv.DictReader(io.StringIO(run(*arguments, "--csv").out)))

    assert table.status == 0
    assert table.out.splitlines()[0] == "184 queries of 42 stories (stories.csv)"
    assert "Minus default" in table.out
    assert "Changed most" in table.out
    assert [row["recipe"] for row in rows] == ["default", "flat"]
    difference = float(rows[1]["ndcg_at_9"]) - float(rows[0]["ndcg_at_9"])
    assert float(rows[1]["minus_first_ndcg_at_9"]) == pytest.approx(difference)


def test_the_same_recipe_twice_is_a_usage_error(run: Run, corpus: Path) -> None:
    Path("flat.toml").write_text("")

    ended = run("compare", corpus, "--recipe", "flat.toml", "--recipe", "flat.toml")

    assert (ended.status, ended.out) == (2, "")
    assert "the same recipe is given twice" in ended.err


def test_rules_of_the_file_are_listed_with_their_state(run: Run) -> None:
    Path("rules.toml").write_text(
        '[[rule]]\nid = "old"\nkind = "pin"\narticles = ["1"]\nauthor = "Ada"\nreason = "vote"\n'
        'until = "2020-01-01T00:00:00Z"\n'
        '[[rule]]\nid = "cap"\nkind = "cap"\nper = "author"\nat_most = 2\nauthor = "Bo"\nreason = "mix"\n'
    )

    table, rules = (
        run("rules", "list", "--file", "rules.toml"),
        run("rules", "list", "--file", "rules.toml", "--json"),
    )

    assert [(rule["id"], rule["state"], rule["source"]) for rule in rules.json()] == [
        ("old", "expired", "file"),
        ("cap", "active", "file"),
    ]
    assert table.out.rstrip().endswith("2 rules")
    assert "articles: 1" in table.out
    assert run("rules", "list").out == "There are no rules.\n"
