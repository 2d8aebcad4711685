"""Live articles on the command line: exported, merged into training, deleted, and in printed lists."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.article import Article
from recommender.artifact import current_version, open_current, open_version, versions
from recommender.commands.live_articles import as_line
from recommender.fields import RowReader
from recommender.model import microseconds
from recommender.serving.app import create_app
from recommender.serving.store import ArticleRow, Store
from recommender.settings import Settings
from recommender.training.readers.corpus import read_articles
from tests.support.cli import ROWS, Run

pytestmark = pytest.mark.slow

DAY = datetime(2026, 3, 1, tzinfo=UTC)
BLOCK = '{"id":"b","kind":"block","articles":["a"],"reason":"a lawsuit","author":"desk"}'


def live(article_id: str, day: int = 2, title: str = "Ferry to the island", **fields: Any) -> Article:
    return Article(id=article_id, title=title, updated_at=DAY.replace(day=day), lang="en", **fields)


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store.of(Settings.read())
    yield store
    store.close()


def put(store: Store, *articles: Article, placed_by: str | None = None) -> None:
    store.put_articles(
        [
            ArticleRow(
                article.id,
                microseconds(article.updated_at),
                withdrawn=False,
                payload=article.to_json().encode(),
                model_version=placed_by,
            )
            for article in articles
        ]
    )


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def ids_in(store: Store) -> list[str]:
    return [row.id for row in store.articles()]


def test_exported_live_articles_can_be_read_back(run: Run, store: Store) -> None:
    articles = [live("1", body="One < two &amp; [gallery]\n\nthree", tags=("a,b", "<i>")), live("日本 🗞")]
    put(store, *articles, live("gone"))
    store.withdraw("gone", microseconds(DAY))

    to_file, to_stdout = run("export-live", "-o", "live.jsonl"), run("export-live")

    assert (to_file.status, to_file.out, to_file.err) == (0, "", "2 live articles\n")
    assert (to_stdout.status, to_stdout.err) == (0, to_file.err)
    assert Path("live.jsonl").read_text(encoding="utf-8") == to_stdout.out
    assert read_articles("live.jsonl").articles == articles


FRAGMENTS = [
    "a",
    "b c",
    " ",
    "\n",
    "\n\n",
    "&",
    "amp;",
    "lt;",
    "#91;",
    "<",
    "i>",
    "[",
    "gallery]",
    "x y=1",
    "]",
]
TEXTS = st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join)


@given(title=TEXTS, body=TEXTS, category=TEXTS, tags=st.lists(TEXTS, max_size=3))
def test_any_article_reads_back_unchanged_from_its_line(
    title: str, body: str, category: str, tags: list[str]
) -> None:
    reading = RowReader(UTC, DAY)
    values = {"id": "1", "title": f"t {title}", "body": body, "category": category, "tags": tags}
    article, _ = reading.article(values)

    assert reading.article(json.loads(as_line(article))) == (article, [])


@pytest.mark.parametrize("command", [["export-live"], ["train", "--with-live"]])
def test_a_missing_database_is_not_created(run: Run, tmp_path: Path, command: list[str]) -> None:
    ended = run(*command)

    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("error: RECOMMENDER_DATABASE_URL is sqlite:///")
    assert ended.err.endswith("recommender.db: there is no database yet; `recommender serve` creates it\n")
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_does_not_respond_is_reported_before_training(
    run: Run, corpus: Path, tmp_path: Path
) -> None:
    (tmp_path / "recommender.db").mkdir()

    ended = run("train", corpus, "--with-live")

    assert (ended.status, ended.out) == (1, "")
    assert ended.err == "error: the database does not respond: unable to open database file\n"


def test_an_article_of_another_program_version_is_left_out_with_a_note(run: Run, store: Store) -> None:
    put(store, live("1"))
    odd = ArticleRow("odd", 1, withdrawn=False, payload=b'{"id": "odd", "from": "the future"}')
    store.put_articles([odd])

    ended = run("export-live")

    assert (ended.status, len(ended.out.splitlines())) == (0, 1)
    assert "note: article 'odd' of the database is left out: it was written by another version" in ended.err


def test_training_includes_live_articles(run: Run, store: Store, tmp_path: Path) -> None:
    dated = [row | {"updated_at": "2026-03-02"} for row in ROWS]
    corpus = write(tmp_path / "corpus.jsonl", *dated, ROWS[2] | {"id": "d"}, ROWS[2] | {"id": "e"})
    put(store, live("a", 3, "Newer"), live("b", 1, "Older"), live("c", 2, "Same day"), live("0new"))
    put(store, live("d", 2, "Undated there"))
    store.withdraw("e", microseconds(DAY))
    store.withdraw("unheard of", microseconds(DAY))

    ended = run("train", corpus, "--with-live")

    articles = open_current("models").articles
    titles = {articles.ids[row]: articles.titles[row] for row in range(len(articles))}
    assert ended.status == 0
    assert titles == {
        "0new": "Ferry to the island",
        "a": "Newer",
        "b": ROWS[1]["title"],
        "c": ROWS[2]["title"],
        "d": "Undated there",
    }
    summary = "Live articles 1 new, 2 newer than in CORPUS, 2 not newer"
    assert f"{summary} (0 of them deleted from the database); 1 withdrawn" in " ".join(ended.out.split())
    assert ids_in(store) == ["0new", "a", "b", "c", "d", "e", "unheard of"]


def test_training_works_with_live_articles_only(run: Run, store: Store) -> None:
    put(store, *(live(row["id"], title=row["title"], body=row["body"]) for row in ROWS))

    ended = run("train", "--with-live")

    assert ended.status == 0
    assert open_current("models").articles.article(0) == live(
        "a", title=ROWS[0]["title"], body=ROWS[0]["body"]
    )


def test_training_without_any_article_fails(run: Run, store: Store) -> None:
    store.withdraw("a", microseconds(DAY))

    ended = run("train", "--with-live")

    assert (ended.status, ended.err.splitlines()[-1]) == (1, "error: the corpus has no articles")


@pytest.mark.slow
def test_a_withdrawal_survives_training_on_a_corpus_with_the_article(
    run: Run, store: Store, corpus: Path
) -> None:
    store.withdraw("a", microseconds(DAY))

    for options in ([], ["--with-live"]):
        assert run("train", corpus, "--no-gate", *options).status == 0

        listed = run("related", "b", "--json", "--limit", "50").json()
        assert [item["id"] for item in listed["items"]] == ["c"]
        assert run("related", "a").err == "error: the article 'a' was withdrawn\n"
    assert open_current("models").articles.ids.find("a") is None


# Deletion


@pytest.fixture
def dated(tmp_path: Path) -> Path:
    return write(tmp_path / "dated.jsonl", *(row | {"updated_at": "2026-03-02"} for row in ROWS))


def train_and_put(run: Run, store: Store, corpus: Path, *articles: Article) -> str:
    """Publish a model, and add articles as a web worker that serves it does."""
    run("train", corpus)
    put(store, *articles, placed_by=current_version("models"))
    return current_version("models")


def test_articles_in_the_corpus_and_every_version_are_deleted(run: Run, store: Store, dated: Path) -> None:
    train_and_put(run, store, dated, live("a", 2), live("b", 1), live("c", 3), live("new"))
    store.withdraw("gone", microseconds(DAY))

    ended = run("train", dated, "--with-live")

    assert "2 not newer (2 of them deleted from the database)" in " ".join(ended.out.split())
    assert ids_in(store) == ["c", "gone", "new"]


def test_an_article_missing_in_a_version_stays_for_a_rollback(run: Run, store: Store, dated: Path) -> None:
    new = {"id": "new", "title": "Ferry to the island", "updated_at": "2026-03-02", "lang": "en"}
    first = train_and_put(run, store, dated, live("new"))
    write(dated, *(json.loads(line) for line in dated.read_text().splitlines()), new)

    run("train", dated, "--with-live")

    assert open_current("models").articles.ids.find("new") is not None
    assert ids_in(store) == ["new"]
    run("models", "rollback")
    assert current_version("models") == first
    assert "new" in related(run, "a")["shown"]


def related(run: Run, article_id: str, *options: str) -> dict[str, Any]:
    answer: dict[str, Any] = run("related", article_id, "--json", "--limit", "50", *options).json()
    return answer | {"shown": [item["id"] for item in answer["items"]]}


def test_an_article_missing_in_the_corpus_stays_for_the_next_training(
    run: Run, store: Store, dated: Path
) -> None:
    first = train_and_put(run, store, dated, live("new"))
    run("train", dated, "--with-live")
    shutil.rmtree(Path("models") / first)
    put(store, live("new"), placed_by=current_version("models"))

    run("train", dated, "--with-live")

    assert all(
        open_version("models", version).articles.ids.find("new") is not None for version in versions("models")
    )
    assert ids_in(store) == ["new"]


def test_training_into_a_folder_that_is_not_served_deletes_nothing(
    run: Run, store: Store, dated: Path
) -> None:
    train_and_put(run, store, dated, live("a", 2))
    more = write(dated.with_name("more.jsonl"), ROWS[2] | {"id": "more"})

    run("train", dated, more, "--with-live", "--models-dir", "trial")

    assert ids_in(store) == ["a"]


def test_a_refused_model_deletes_nothing(run: Run, store: Store, dated: Path) -> None:
    train_and_put(run, store, dated, live("a", 2))
    Path("strict.toml").write_text("[gate]\nmin_articles = 4\n")

    ended = run("train", dated, "--with-live", "--recipe", "strict.toml")

    assert ended.status == 3
    assert ids_in(store) == ["a"]


def test_nothing_is_deleted_if_a_version_cannot_be_opened(run: Run, store: Store, dated: Path) -> None:
    first = train_and_put(run, store, dated, live("a", 2))
    manifest = Path("models") / first / "manifest.json"
    manifest.write_text(manifest.read_text() + " ")

    ended = run("train", dated, "--with-live")

    assert (ended.status, ids_in(store)) == (0, ["a"])
    assert "note: no live articles are deleted from the database: models/" in " ".join(ended.err.split())


# Lists


def test_printed_lists_equal_those_of_the_service(run: Run, store: Store, corpus: Path) -> None:
    run("train", corpus)
    put(store, live("new", body="The ferry to the island waits in the harbour."))
    store.withdraw("c", microseconds(DAY))
    store.put_rule("b", BLOCK)
    client = create_app(Settings(models_dir=Path("models"), live_poll_seconds=0)).test_client()

    listed, topics = related(run, "new"), run("topics", "--json").json()
    similar = run("similar", "--title", "Ferry", "--json").json()

    assert listed["shown"] == [item["id"] for item in similar["items"] if item["id"] != "new"] == ["b"]
    assert listed["items"] == client.get("/v1/related?id=new&limit=50").get_json()["items"]
    assert similar["items"] == client.post("/v1/similar", json={"title": "Ferry"}).get_json()["items"]
    assert topics == client.get("/v1/topics").get_json()
    assert run("related", "new").out.startswith("Related to 'Ferry to the island'\n")
    assert listed["degraded"] == []


def test_a_withdrawn_article_is_unknown_even_with_a_fallback(run: Run, store: Store, corpus: Path) -> None:
    run("train", corpus)
    store.withdraw("a", microseconds(DAY))

    ended = run("related", "a", "--unknown", "fallback")

    assert (ended.status, ended.out, ended.err) == (1, "", "error: the article 'a' was withdrawn\n")


def test_the_last_known_content_is_used_without_a_database(
    run: Run, store: Store, corpus: Path, tmp_path: Path
) -> None:
    run("train", corpus)
    store.withdraw("a", microseconds(DAY))
    create_app(Settings(models_dir=Path("models"), live_poll_seconds=0))
    store.close()
    for file in tmp_path.glob("recommender.db*"):
        file.unlink()
    state = (tmp_path / "recommender-state.json").read_bytes()

    lost = related(run, "b")
    (tmp_path / "recommender.db").mkdir()
    broken = run("related", "b", "--json")

    assert (lost["shown"], lost["degraded"]) == (["c"], [])
    assert (broken.status, broken.json()["degraded"]) == (0, ["store"])
    assert [item["id"] for item in broken.json()["items"]] == ["c"]
    assert broken.err == "note: the database does not respond; using its last known content\n"
    assert (tmp_path / "recommender-state.json").read_bytes() == state
    assert list(tmp_path.glob("recommender.db/*")) == []


def test_printing_lists_creates_no_database(run: Run, corpus: Path, tmp_path: Path) -> None:
    run("train", corpus)
    before = sorted(tmp_path.iterdir())

    for command in (["related", "a"], ["similar", "--title", "Ferry"], ["topics"]):
        assert run(*command).status == 0

    assert sorted(tmp_path.iterdir()) == before


def test_no_list_is_printed_while_withdrawals_are_unknown(run: Run, corpus: Path, tmp_path: Path) -> None:
    run("train", corpus)
    (tmp_path / "recommender.db").mkdir()

    ended = run("related", "a")

    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("error: withdrawals are unknown: the database does not respond")
