"""Published versions are listed, verified and rolled back to."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from recommender.article import Article
from recommender.artifact import current_version, publish, versions
from recommender.model import NO_MOMENT
from recommender.serving.store import ArticleRow, Store
from recommender.settings import Settings
from tests.support.cli import Run
from tests.support.newsroom import NOW, build_model, newsroom

pytestmark = pytest.mark.slow


def test_versions_are_listed_and_verified(run: Run, published: Path) -> None:
    version = current_version(published)

    listed = run("models", "list", "--models-dir", published)

    assert listed.status == 0
    assert [line.split()[0] for line in listed.out.splitlines() if "current" in line] == [version]
    for named in ([], [version]):
        assert run("models", "verify", *named, "--models-dir", published).out.startswith(f"{version}: 7")
    assert run("models", "verify", "20200101T000000Z-00000000", "--models-dir", published).status == 1


def test_verify_names_the_altered_file(run: Run, published_copy: Path) -> None:
    path = published_copy / current_version(published_copy) / "articles.titles.utf8.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"!")

    for command in (["models", "verify"], ["related", "1001"]):
        ended = run(*command, "--models-dir", published_copy)

        assert (ended.status, ended.out) == (1, "")
        assert ended.err.startswith(f"error: {path} was altered after publishing: restore")


def test_a_rollback_makes_the_previous_version_current(run: Run, corpus: Path) -> None:
    run("train", corpus)
    run("train", corpus)
    first, second = versions("models")

    back = run("models", "rollback")
    forth = run("models", "rollback", second)

    assert (back.status, back.out, back.err) == (0, f"{first} is now the current version\n", "")
    assert (forth.status, current_version("models")) == (0, second)


def test_a_rollback_without_an_older_version_fails(run: Run, published: Path) -> None:
    version = current_version(published)

    ended = run("models", "rollback", "--models-dir", published)

    message = f"error: nothing to roll back to: {version} is the oldest version in {published}\n"
    assert (ended.status, ended.out, ended.err) == (1, "", message)


def test_a_list_has_age_quality_gate_and_size_also_of_a_version_that_cannot_be_opened(
    run: Run, published_copy: Path
) -> None:
    damaged = published_copy / "99999999T999999Z-00000000"
    damaged.mkdir()
    (damaged / "manifest.json").write_text('{"format": 3}')

    listed = run("models", "list", "--models-dir", published_copy, "--json").json()
    table = run("models", "list", "--models-dir", published_copy)

    good, bad = listed
    assert (good["articles"], good["gate"], good["current"], good["fault"]) == (259, None, True, "")
    assert good["published_at"] == "2027-01-01T12:00:00+00:00"
    assert good["bytes"] == sum(path.stat().st_size for path in (published_copy / good["version"]).iterdir())
    assert (bad["articles"], bad["published_at"], bad["bytes"]) == (None, None, 13)
    assert "manifest.json does not match its sha256" in bad["fault"]
    assert table.err.startswith("note: ")
    assert "not run" in table.out
    assert "cannot be opened" in table.out


def publish_three() -> list[str]:
    model = build_model(newsroom())
    return [publish(model, "models", now=NOW + timedelta(hours=hours)) for hours in range(3)]


def test_prune_keeps_versions_that_live_articles_need(run: Run) -> None:
    first, second, third = publish_three()
    store = Store.of(Settings.read())
    for number, version in enumerate([first, second, second]):
        row = ArticleRow(f"new{number}", 1, withdrawn=False, payload=b"{}", model_version=version)
        store.put_articles([row])
    store.put_articles(
        [ArticleRow(newsroom()[0].id, NO_MOMENT, withdrawn=False, payload=b"{}", model_version=first)]
    )
    store.withdraw("new0", 2)

    ended = run("models", "prune", "--keep", "1", "--keep-days", "0", "--json")

    kept = {decision["version"]: decision["kept_because"] for decision in ended.json()}
    assert kept == {
        first: "used by the last live article",
        second: "used by 2 live articles",
        third: "current",
    }
    assert versions("models") == [first, second, third]

    store.delete_articles([(row.id, row.version) for row in store.articles() if row.model_version == first])
    shown = run("models", "prune", "--keep", "1", "--keep-days", "0", "--dry-run")
    done = run("models", "prune", "--keep", "1", "--keep-days", "0")

    assert "1 of 3 versions (0 MiB) would be removed" in shown.out
    assert "1 of 3 versions (0 MiB) removed" in done.out
    assert versions("models") == [second, third]


def test_prune_removes_nothing_if_the_database_does_not_respond(run: Run, tmp_path: Path) -> None:
    publish_three()
    (tmp_path / "recommender.db").mkdir()

    ended = run("models", "prune", "--keep", "1", "--keep-days", "0")

    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("error: the database does not respond")
    assert len(versions("models")) == 3


def test_two_versions_are_compared(run: Run) -> None:
    first, _, third = publish_three()
    moved = replace(newsroom()[0], category="<b>Ports</b> & 'docks'")
    later = [moved, *newsroom()[1:], Article(id="later", title="Storm floods the harbour")]
    fourth = publish(build_model(later), "models", now=NOW + timedelta(hours=3))

    table, printed = run("models", "diff"), run("models", "diff", first, fourth, "--json")
    rows = run("models", "diff", "--csv")
    page = run("models", "diff", third, "--markdown=page.md", "--html", "page.html")

    assert table.out.startswith(f"{third} → {fourth}\n")
    assert f"{len(newsroom())} in common, 1 added, 0 removed" in table.out
    assert (printed.json()["old"], printed.json()["articles_added"]) == (first, 1)
    assert len(rows.out.splitlines()) == 1 + len(newsroom())
    assert page.status == 0
    html = Path("page.html").read_text(encoding="utf-8")
    assert f"<h1>{third} → {fourth}</h1>" in html
    assert (
        "<td>&lt;b&gt;Ports&lt;/b&gt; &amp; &#x27;docks&#x27;<td class=number>1<td>Harbour dredging" in html
    )
    assert re.search(r" style='--share: (\d+\.\d%)'>\1<", html)
    assert Path("page.md").read_text(encoding="utf-8").startswith(f"# {third} → {fourth}\n\n## Summary\n")


def test_a_version_that_does_not_exist_cannot_be_compared(run: Run) -> None:
    publish_three()

    ended = run("models", "diff", "20200101T000000Z-00000000")

    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("error: no version '20200101T000000Z-00000000' in models")
