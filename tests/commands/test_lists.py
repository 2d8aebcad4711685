"""The commands related, similar, search and topics print what the HTTP API responds."""

import io
import json
import sys
from pathlib import Path

import pytest

from recommender.artifact import current_version
from recommender.cli import cli
from recommender.serving.app import create_app
from recommender.serving.http.parameters import RelatedParameters, Text
from recommender.serving.lists.query import DIVERSITY, FRESHNESS
from recommender.settings import Settings
from tests.support.cli import Run


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


def test_related_has_the_filters_of_the_http_api(run: Run, published: Path) -> None:
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


def test_the_help_shows_the_real_defaults(run: Run) -> None:
    help_of = {
        line.split()[0]: line for line in run("related", "--help").out.splitlines() if "[default:" in line
    }

    for name, value in (("limit", 9), ("freshness", FRESHNESS), ("diversity", DIVERSITY)):
        assert help_of[f"--{name}"].endswith(f"[default: {value:g}]")


PARAMETERS = {
    "mode": "background",
    "freshness": "0.5",
    "diversity": "0.3",
    "min_similarity": "0.05",
    "published_before": "2026-06-01",
    "published_after": "2024-01-01",
    "fallback": "none",
}


def test_the_options_have_the_effect_of_the_http_parameters(run: Run, published: Path) -> None:
    options = [part for name, value in PARAMETERS.items() for part in (f"--{name.replace('_', '-')}", value)]
    client = create_app(Settings(models_dir=published)).test_client()

    listed = run("related", "1048", *options, "--json", "--models-dir", published).json()
    text = run("similar", "--title", "Ferry", *options, "--json", "--models-dir", published).json()

    asked = PARAMETERS | {"id": "1048"}
    assert listed["items"] == client.get("/v1/related", query_string=asked).get_json()["items"]
    posted = client.post("/v1/similar", json=PARAMETERS | {"title": "Ferry"}).get_json()
    assert text["items"] == posted["items"] != []
    assert listed["items"]


def test_explanations_are_printed(run: Run, published: Path) -> None:
    arguments = ["related", "1001", "--limit", "1", "--explain", "--models-dir", published]

    table, answer = run(*arguments), run(*arguments, "--json").json()

    why = answer["items"][0]["why"]
    assert f"{why['terms'][0]['term']} {why['terms'][0]['contribution']:+.3f}" in table.out
    assert f"freshness {why['freshness']:+.3f}" in " ".join(table.out.split())


def test_an_unknown_article_falls_back_to_the_newest_on_request(run: Run, published: Path) -> None:
    ended = run("related", "no-such", "--unknown", "fallback", "--limit", "2", "--models-dir", published)

    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("The newest articles\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such"], "no article 'no-such'"),
        ([".."], "'..'"),
        (
            ["\udcff"],
            "id is '\\\\xff'; allowed: percent-encoded UTF-8",
        ),  # an invalid byte, as Python decodes it
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
def test_an_invalid_value_is_named_on_stderr(
    run: Run, published: Path, arguments: list[str], message: str
) -> None:
    ended = run("related", *arguments, "--json", "--models-dir", published)

    assert ended.status in {1, 2}
    assert ended.out == ""
    assert ended.err.startswith("error: ")
    assert message in ended.err
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["related", "1001"], ["similar", "--title", "x"]])
def test_an_invalid_limit_is_a_usage_error(run: Run, published: Path, arguments: list[str]) -> None:
    statuses = [
        run(*arguments, "--limit", limit, "--models-dir", published).status for limit in ("abc", "0", "1e9")
    ]

    assert statuses == [2, 2, 2]


@pytest.mark.slow
def test_an_id_is_used_unchanged(run: Run, tmp_path: Path) -> None:
    ids = ["a/related", "a,b", "https://x/y//z", "/abs", "%2F", "日本 🗞", "a&id=b", "-1"]
    rows = [{"id": i, "title": f"Harbour ferry number{n}"} for n, i in enumerate(ids)]
    (tmp_path / "odd.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run("train", "odd.jsonl")

    for article_id in ids:
        assert run("related", "--json", "--", article_id).json()["article_id"] == article_id


def test_similar_finds_articles_about_the_same_subject(run: Run, published: Path) -> None:
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
    ("arguments", "message"),
    [
        ([], "title is ''; allowed: a title or a body that contains text"),
        (["--title", "<b></b>"], "title is '<b></b>'; allowed: a title or a body that contains text"),
        (["--title", "x", "--limit", "51"], "limit is '51'; allowed: a whole number from 1 to 50"),
        (["--title", "x", "--limit", "many"], "limit is 'many'; allowed: a whole number from 1 to 50"),
    ],
)
def test_an_empty_text_or_an_invalid_limit_is_rejected(
    run: Run, published: Path, arguments: list[str], message: str
) -> None:
    ended = run("similar", *arguments, "--models-dir", published)

    assert ended.status in {1, 2}
    assert ended.out == ""
    assert message in ended.err


def test_topics_are_printed_largest_first_with_a_headline(run: Run, published: Path) -> None:
    table, answer = (
        run("topics", "--models-dir", published),
        run("topics", "--models-dir", published, "--json"),
    )
    topics = answer.json()["topics"]

    assert (table.status, table.err, answer.status) == (0, "", 0)
    assert table.out.split()[:5] == ["Topic", "Articles", "Terms", "Typical", "headline"]
    assert table.out.rstrip().endswith(f"{len(topics)} topics · model {answer.json()['model_version']}")
    assert [topic["articles"] for topic in topics] == sorted((t["articles"] for t in topics), reverse=True)
    assert all(topic["terms"][0].split()[0] in table.out for topic in topics)


def test_topics_prints_the_http_response(run: Run, published: Path) -> None:
    client = create_app(Settings(models_dir=published)).test_client()

    assert run("topics", "--models-dir", published, "--json").json() == client.get("/v1/topics").get_json()


def test_topics_without_a_model_names_the_command_to_run(run: Run) -> None:
    done = run("topics")

    assert (done.status, done.out) == (1, "")
    assert "run `make train`" in done.err


def test_search_prints_the_http_response(run: Run, published: Path) -> None:
    asked = {"q": "harbour cou", "limit": 3, "category": "politics"}
    client = create_app(Settings(models_dir=published)).test_client()
    options = ["--limit", "3", "--category", "politics", "--models-dir", published]

    answer, table = (
        run("search", "harbour", "cou", *options, "--json"),
        run("search", "harbour cou", *options),
    )

    assert answer.json() == client.get("/v1/search", query_string=asked).get_json()
    assert answer.json()["returned"] == 3
    assert table.out.startswith("Search results for 'harbour cou'\n")


def test_a_search_may_exclude_categories(run: Run, published: Path) -> None:
    client = create_app(Settings(models_dir=published)).test_client()
    asked = {"q": "harbour", "limit": 50, "exclude_category": ["politics", "law-justice"]}
    options = ["--limit", "50", "--exclude-category", "politics", "--exclude-category", "law-justice"]

    answer = run("search", "harbour", *options, "--models-dir", published, "--json").json()
    unknown = run("search", "harbour", "--exclude-category", "Sports", "--models-dir", published)

    assert answer == client.get("/v1/search", query_string=asked).get_json()
    assert answer["items"]
    assert not {"Politics", "Law & Justice"} & {
        name for item in answer["items"] for name in item["categories"]
    }
    assert "no category is called 'Sports'" in unknown.err


def test_a_search_that_is_invalid_over_http_is_rejected(run: Run, published: Path) -> None:
    ended = run("search", "x" * 201, "--models-dir", published)

    assert (ended.status, ended.out) == (2, "")
    assert "allowed: 1 to 200 characters" in ended.err
