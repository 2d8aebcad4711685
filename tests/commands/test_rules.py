"""`recommender rules`: check a file, and explain an article."""

import shutil
import socket
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from granian import Granian as Server

from recommender.article import Article
from recommender.model import microseconds
from recommender.serving.rules.schema import read_rule, to_json
from recommender.serving.store import ArticleRow, Store
from tests.support.cli import Run

MANY = """
[[rule]]
id = "first"
kind = "pin"
articles = ["1048", "2"]
for_section = "Politics"
reason = "the live blog [today]"
author = "A. Reyes"
from = 2026-01-01T00:00:00Z

[[rule]]
id = "old"
kind = "sensitive"
articles = ["1048"]
reason = "asked for"
author = "B. Oduya"
until = 2026-01-02T00:00:00+01:00
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(MANY)
    return path


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    url = f"sqlite:///{tmp_path / 'live.db'}"
    monkeypatch.setenv("RECOMMENDER_DATABASE_URL", url)
    return Store(url)


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch, run: Run) -> Run:
    monkeypatch.setenv("COLUMNS", "200")
    return run


def test_the_rules_of_a_valid_file_are_counted(run: Run, rules: Path) -> None:
    done = run("rules", "check", rules)

    assert (done.status, done.out, done.err) == (0, f"{rules}: 2 rules, no errors\n", "")


HIDING = """
[[rule]]
id = "paid"
kind = "sensitive"
in_category = "paid-partners"
reason = "paid for"
author = "A. Reyes"

[[rule]]
id = "by-jane"
kind = "block"
by_author = "jane doe"
reason = "left the paper"
author = "A. Reyes"
"""


def test_rules_may_hide_a_category_or_an_author(
    wide: Run, rules: Path, store: Store, published: Path
) -> None:
    rules.write_text(HIDING)
    article = Article(id="live", title="An offer", category="Paid & Partners", authors=("Jane Doe",))
    updated = microseconds(datetime(2026, 1, 1, tzinfo=UTC))
    store.put_articles([ArticleRow("live", updated, withdrawn=False, payload=article.to_json().encode())])

    checked = wide("rules", "check", rules)
    explained = wide("rules", "explain", "live", "--file", rules, "--models-dir", published)

    assert checked.out == f"{rules}: 2 rules, no errors\n"
    assert "excluded from all lists" in explained.out
    assert "shown only in responses for its own id" in explained.out


def test_a_rule_with_two_targets_is_reported(run: Run, rules: Path) -> None:
    rules.write_text(HIDING.replace('by_author = "jane doe"', 'by_author = "jane doe"\narticles = ["1"]'))

    done = run("rules", "check", rules)

    assert (done.status, done.out) == (1, "")
    assert "rule 'by-jane': articles is '[\"1\"]'; allowed: exactly one of articles, in_category" in done.err


def test_every_error_of_an_invalid_file_is_reported(run: Run, rules: Path) -> None:
    rules.write_text(MANY.replace("pin", "pins").replace('author = "B. Oduya"', "author = 3"))

    done = run("rules", "check", rules)

    assert (done.status, done.out) == (1, "")
    assert done.err.splitlines() == [
        f"error: {rules}: 2 faults",
        "rule 'first': kind is 'pins'; allowed: 'pin', 'block', 'sensitive', 'boost' or 'cap'",
        "rule 'old': author is '3'; allowed: 1 to 200 characters",
    ]


def test_a_missing_file_is_a_failure(run: Run) -> None:
    done = run("rules", "check", "none.toml")

    assert (done.status, done.err) == (1, "error: none.toml: No such file or directory\n")


def test_serving_with_an_invalid_rules_file_starts_with_a_warning(
    run: Run, rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[object] = []
    monkeypatch.setattr(Server, "serve", lambda server: started.append(server))  # noqa: PLW0108 binds
    rules.write_text("[[rule]]")
    monkeypatch.setenv("RECOMMENDER_RULES_FILE", str(rules))

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    done = run("serve", "--port", port)

    assert (done.status, len(started)) == (0, 1)
    assert done.err.startswith("warning: the last known rules are used, or none, because of ")
    assert "rule 1: kind is missing" in done.err


def test_an_article_is_explained_with_authors_and_reasons(wide: Run, rules: Path, published: Path) -> None:
    done = wide("rules", "explain", "1048", "--file", rules, "--models-dir", published)

    assert done.status == 0
    heading, *lines = [line.split("  ") for line in done.out.splitlines()]
    assert heading[0].strip()
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    active = [
        "pin 1 of 2 in the lists of Politics", "first (pin, file)", "A. Reyes", "the live blog [today]",
        "active, from 2026-01-01 00:00 UTC",
    ]  # fmt: skip
    assert active in cells
    assert [
        "excluded from all lists", "old (sensitive, file)", "B. Oduya", "asked for",
        "expired, until 2026-01-01 23:00 UTC",
    ] in cells  # fmt: skip
    assert ["pins 2", *active[1:]] in cells


def test_the_rules_file_of_the_settings_is_used(
    wide: Run, rules: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECOMMENDER_RULES_FILE", str(rules))

    assert "first (pin, file)" in wide("rules", "explain", "1048", "--models-dir", published).out


def test_rules_and_articles_of_the_database_are_used(wide: Run, store: Store, published: Path) -> None:
    block = {"id": "hush", "kind": "block", "articles": ["new"], "reason": "so", "author": "A. Reyes"}
    cap = {"id": "mixed", "kind": "cap", "per": "section", "at_most": 2, "reason": "so", "author": "A. Reyes"}
    for rule in (read_rule(block, ""), read_rule(cap, "")):
        store.put_rule(rule.id, to_json(rule))
    store.put_rule("odd", "{}")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    article = Article(id="new", title="Ferry strike", category="Economy", updated_at=now)
    row = ArticleRow("new", microseconds(now), withdrawn=False, payload=article.to_json().encode())
    store.put_articles([row])

    done = wide("rules", "explain", "new", "--models-dir", published)

    assert done.out.startswith("Ferry strike")
    assert "shown only in responses for its own id" in done.out
    assert "at most 2 of Economy in a list" in done.out
    assert "hush (block, database)" in done.out
    assert done.err == "note: the rule odd was written by another version of the program\n"

    store.put_articles([replace(row, updated=row.updated + 1, withdrawn=True, payload=None)])
    assert "is withdrawn" in wide("rules", "explain", "new", "--models-dir", published).err


def test_an_unknown_article_is_explained_by_its_id(wide: Run, rules: Path, tmp_path: Path) -> None:
    done = wide("rules", "explain", "2", "--file", rules, "--models-dir", tmp_path / "none")

    assert done.status == 0
    assert done.out.startswith("'2' (unknown article)")
    assert "pin 2 of 2 in the lists of Politics" in done.out
    assert "In its own list: no rule" in done.out
    assert done.err.startswith("note: ")


def test_explaining_creates_no_database(wide: Run, published: Path, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())

    wide("rules", "explain", "1048", "--models-dir", published)

    assert set(tmp_path.iterdir()) == before


def test_a_database_that_cannot_be_read_is_reported(
    run: Run, published: Path, tmp_path: Path, store: Store
) -> None:
    store.rules()
    store.close()
    shutil.copy(__file__, tmp_path / "live.db")

    done = run("rules", "explain", "1048", "--models-dir", published)

    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("error: ")
