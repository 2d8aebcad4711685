"""While articles are folded in and a newer model is opened, every change takes effect at once."""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.article import Article
from recommender.artifact import current_version, publish, roll_back
from recommender.model import Model, microseconds
from recommender.serving.app import create_app
from recommender.serving.http.auth import new_key
from recommender.serving.index.fold_in import FoldedArticle, fold_in
from recommender.serving.store import ArticleRow, Changes, Store
from recommender.serving.worker import fold_ins as fold_ins_module
from recommender.serving.worker import model_switch
from recommender.serving.worker.follower import Follower
from recommender.serving.worker.worker_state import WorkerState
from recommender.settings import Settings
from tests.support.laws import examples
from tests.support.newsroom import NOW, build_model, newsroom
from tests.support.snapshots import similar_live_articles
from tests.support.waiting import eventually

LIVE = [
    Article(id=f"live-{number}", title=f"Storm floods the harbour {number}", updated_at=NOW, published_at=NOW)
    for number in range(3)
]
KEY, KEY_SETTING = new_key("cms", ["articles", "rules"])
HEADERS = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_switch, "_PAUSE_SECONDS", 0.01)


@pytest.fixture
def own_models(models_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(models_dir, tmp_path / "models"))


@pytest.fixture
def store(own_models: Path) -> Iterator[Store]:
    with closing(Store.of(Settings(models_dir=own_models))) as store:
        yield store


def row(article: Article, minutes: int = 0, *, withdrawn: bool = False) -> ArticleRow:
    moment = NOW + timedelta(minutes=minutes)
    payload = None if withdrawn else replace(article, updated_at=moment).to_json().encode()
    return ArticleRow(article.id, microseconds(moment), withdrawn=withdrawn, payload=payload)


def public_ids(state: WorkerState) -> set[str]:
    assert state.snapshot is not None
    documents = state.snapshot.articles
    return {documents.ids[row] for row in documents.newest.tolist()}


@contextmanager
def following(models: Path, store: Store) -> Iterator[Follower]:
    """Yield a follower whose threads run."""
    follower = Follower(Settings(models_dir=models, live_poll_seconds=0.01), store)
    follower.start()
    try:
        yield follower
    finally:
        follower.stop()


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """Until this is set, fold-ins wait."""
    event = Event()

    def wait_and_fold_in(model: Model, article: Article) -> FoldedArticle:
        event.wait(30)
        return fold_in(model, article)

    monkeypatch.setattr(fold_ins_module, "fold_in", wait_and_fold_in)
    yield event
    event.set()


def test_changes_take_effect_while_a_newer_model_is_prepared(
    own_models: Path, store: Store, released: Event
) -> None:
    first = Follower(Settings(models_dir=own_models, live_poll_seconds=0.01), store)
    released.set()
    first.start()
    store.put_articles([row(article) for article in LIVE])
    eventually(lambda: len(first.state.live) == 3 and not first.state.pending)
    old = first.snapshot.model
    released.clear()

    publish(build_model(newsroom()[:-2]), own_models, now=NOW + timedelta(hours=1))
    store.withdraw("10", microseconds(NOW))
    store.withdraw("live-1", microseconds(NOW))
    store.put_articles([row(replace(LIVE[0], title="Corrected"), 1), row(replace(LIVE[0], id="new"))])
    eventually(lambda: "new" in first.state.live and "10" in first.state.withdrawn)
    during = first.state
    released.set()
    eventually(lambda: first.snapshot.model is not old and not first.state.pending)
    first.stop()

    assert during.snapshot is not None
    assert during.snapshot.model is old
    expected = {article.id for article in newsroom()} - {"10"} | {"live-0", "live-2", "new"}
    assert public_ids(during) == expected
    assert public_ids(first.state) == expected - {article.id for article in newsroom()[-2:]}
    documents = first.snapshot.articles
    assert documents.titles[documents.find("live-0") or 0] == "Corrected"


def test_a_restarted_worker_is_ready_before_its_articles_are_folded_in(
    own_models: Path, store: Store, released: Event
) -> None:
    store.put_articles([row(article) for article in LIVE])
    options: dict[str, Any] = {
        "models_dir": own_models,
        "live_poll_seconds": 0.01,
        "write_keys": (KEY_SETTING,),
    }

    app = create_app(Settings(**options), clock=lambda: NOW)
    client, context = app.test_client(), app.extensions["recommender"]
    related, similar = "/v1/related?limit=50&explain=1", {"title": "Storm floods", "limit": 50}

    assert context.follower.state.pending == {article.id for article in LIVE}
    for target in (
        f"{related}&id=live-0",
        f"{related}&id=live-0&fallback=none",
        f"{related}&id=live-0&min_similarity=0.1&diversity=0.5",
        f"{related}&id=9&lang=any",
        "/v1/related/batch?id=live-0&id=9",
        "/v1/page/live-0",
        "/v1/articles/live-0",
        "/v1/search?q=storm",
        "/v1/topics/all",
        "/demo/article?id=live-0",
        "/readyz",
    ):
        assert client.get(target).status_code == 200, target
    assert client.post("/v1/similar", json=similar).status_code == 200
    before = client.get(f"{related}&id=live-0").json
    released.set()
    eventually(lambda: not context.follower.state.pending)
    after = client.get(f"{related}&id=live-0").json
    context.follower.stop()

    assert before is not None
    assert after is not None
    assert before["returned"] == before["eligible"]
    assert after["returned"] == after["eligible"]
    assert not [item for item in before["items"] if item["source"] == "similar"]
    assert [item for item in after["items"] if item["source"] == "similar"]


def test_a_put_is_shown_at_once_even_if_it_cannot_be_folded_in(
    own_models: Path, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> FoldedArticle:
        raise ArithmeticError("no fold-in")

    monkeypatch.setattr(fold_ins_module, "fold_in", fail)
    store.put_articles([row(article) for article in LIVE])

    follower = Follower(Settings(models_dir=own_models, live_poll_seconds=0), store)
    follower.refresh()

    assert {article.id for article in LIVE} <= public_ids(follower.state)
    degraded = [follower.degraded]
    assert {str(record.exc_info[1]) for record in caplog.records if record.exc_info} == {"no fold-in"}
    monkeypatch.undo()
    follower.refresh()
    degraded.append(follower.degraded)
    assert degraded == [("articles",), ()]
    assert not follower.state.pending


def test_a_newer_model_that_is_rolled_back_before_it_is_ready_is_not_opened(
    own_models: Path, store: Store, released: Event
) -> None:
    store.put_articles([row(article) for article in LIVE])
    with following(own_models, store) as follower:
        first = current_version(own_models)
        publish(build_model(newsroom()[:-2]), own_models, now=NOW + timedelta(hours=1))
        roll_back(own_models, first)
        released.set()
        eventually(lambda: not follower.state.pending)

        assert follower.snapshot.manifest.version == first
        assert not follower.degraded


def test_a_switch_that_fails_is_logged_once_and_the_old_model_stays(
    own_models: Path, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    follower = Follower(Settings(models_dir=own_models, live_poll_seconds=0), store)
    before = follower.snapshot

    def fail(*_: object) -> WorkerState:
        raise ArithmeticError("halfway")

    with monkeypatch.context() as patched:
        patched.setattr(WorkerState, "with_model", fail)
        publish(build_model(newsroom()[:-2]), own_models, now=NOW + timedelta(hours=1))
        for _ in range(3):
            follower.refresh()
        store.withdraw("10", microseconds(NOW))
        follower.refresh()

    degraded = [follower.degraded]
    assert follower.snapshot.model is before.model
    assert "10" not in public_ids(follower.state)
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["halfway"]
    follower.refresh()
    degraded.append(follower.degraded)
    assert degraded == [("model",), ()]
    assert follower.snapshot.model is not before.model


some_change = st.tuples(
    st.sampled_from(["live-0", "live-1", "9", "10", "new"]),
    st.integers(-2, 3),
    st.sampled_from(["put", "withdraw", "lose"]),
)


@settings(max_examples=examples(200), deadline=None)
@given(before=st.lists(some_change, max_size=6), after=st.lists(some_change, max_size=6))
def test_a_prepared_model_has_all_changes_that_were_made_since(
    before: list[tuple[str, int, str]], after: list[tuple[str, int, str]]
) -> None:
    """The result is that of opening the model afterwards, or nothing."""
    old, new = build_model(newsroom()), build_model(newsroom()[:-1])
    first = _changed(WorkerState().with_model(old), before)
    latest = _changed(first, after)
    prepared = first.with_model(new, lambda article: fold_in(new, article))

    rebased = latest.rebased(prepared)

    if rebased is not None:
        rebased = _folded(rebased, new)
        expected = latest.with_model(new, lambda article: fold_in(new, article))
        assert _contents(rebased) == _contents(expected)


def test_a_fold_in_of_an_article_that_has_changed_is_not_used(model: Model) -> None:
    pending = _changed(WorkerState().with_model(model), [("live-0", 0, "put"), ("live-1", 0, "put")])
    folded = [(article, fold_in(model, article)) for article in pending.live.values()]
    changed = _changed(pending, [("live-0", 1, "put"), ("live-1", 1, "withdraw")])

    assert changed.with_fold_ins(model, folded).pending == {"live-0"}
    assert changed.with_fold_ins(build_model(newsroom()), folded) is changed


def test_usual_changes_need_no_second_preparation() -> None:
    old, new = build_model(newsroom()), build_model(newsroom()[:-1])
    first = _changed(WorkerState().with_model(old), [("live-0", 0, "put"), ("live-1", 0, "put")])
    prepared = first.with_model(new)
    usual = [("live-0", 1, "put"), ("new", 0, "put"), ("live-1", 1, "withdraw"), ("9", 1, "withdraw")]

    assert _changed(first, usual).rebased(prepared) is not None


def _changed(state: WorkerState, changes: list[tuple[str, int, str]]) -> WorkerState:
    """Apply changes that a store would accept, one version for each."""
    rows: dict[str, ArticleRow] = {}
    for number, (article_id, minutes, kind) in enumerate(changes, start=state.version + 1):
        if kind == "lose":  # the database was replaced by one that has only this article
            article = Article(id=article_id, title=f"Storm in {kind}", published_at=NOW)
            state = state.with_changes(Changes(number, [row(article, minutes)], None, complete=True))
            continue
        article = Article(id=article_id, title=f"Storm floods the harbour {minutes}", published_at=NOW)
        new = row(article, minutes, withdrawn=kind == "withdraw")
        known = rows.get(article_id)
        if known is None or known.updated < new.updated:
            rows[article_id] = new
            state = state.with_changes(Changes(number, [new], None, complete=False))
    return state


def _folded(state: WorkerState, model: Model) -> WorkerState:
    pending = [state.live[article_id] for article_id in sorted(state.pending)]
    return state.with_fold_ins(model, [(article, fold_in(model, article)) for article in pending])


def _contents(state: WorkerState) -> list[object]:
    snapshot = state.snapshot
    assert snapshot is not None
    documents = snapshot.articles
    shown = {documents.ids[row]: documents.article(row).to_json() for row in documents.newest.tolist()}
    similar = similar_live_articles(snapshot)
    folded = {article_id: article.to_bytes() for article_id, article in state.folded.items()}
    return [shown, similar, folded, dict(state.withdrawn), dict(snapshot.withdrawn), state.pending]
