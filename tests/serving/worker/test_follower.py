"""A worker follows the store, the models folder and the rules file, and survives the loss of each."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest

from recommender.article import Article
from recommender.artifact import publish
from recommender.model import microseconds
from recommender.serving.app import create_app
from recommender.serving.index.fold_in import fold_in
from recommender.serving.lists.related import Related
from recommender.serving.store import ArticleRow, Changes, Store, StoreDownError
from recommender.serving.worker import follower as follower_module
from recommender.serving.worker.context import Context
from recommender.serving.worker.follower import Follower, NotReadyError
from recommender.settings import Settings
from tests.support.newsroom import NOW, build_model, newsroom

UPDATED = microseconds(NOW)
BLOCK = '{"id":"b","kind":"block","articles":["10"],"reason":"a lawsuit","author":"desk"}'


@pytest.fixture
def settings(models_dir: Path, tmp_path: Path) -> Settings:
    models = Path(shutil.copytree(models_dir, tmp_path / "models"))
    return Settings(models_dir=models, live_poll_seconds=0)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    store = new_store(settings)
    yield store
    store.close()


def new_store(settings: Settings) -> Store:
    return Store(settings.database_url, pause_seconds=0)


def row(article: Article, *, updated: int = UPDATED, embedding: bytes | None = None) -> ArticleRow:
    dated = replace(article, updated_at=datetime.fromtimestamp(updated / 1_000_000, UTC))
    payload = dated.to_json().encode()
    return ArticleRow(article.id, updated, withdrawn=False, payload=payload, embedding=embedding)


def public_ids(follower: Follower) -> set[str]:
    documents = follower.snapshot.articles
    return {documents.ids[row] for row in documents.newest.tolist()}


def delete_database(settings: Settings) -> None:
    for path in Path(settings.database_url.removeprefix("sqlite:///")).parent.glob("recommender.db*"):
        path.unlink()


BLOCK_FILE = """\
[[rule]]
id = "f"
kind = "block"
articles = ["10"]
reason = "a lawsuit"
author = "desk"
"""
ARTICLE = Article(id="new", title="Storm floods the harbour", published_at=NOW)


def test_changes_by_another_worker_are_applied(settings: Settings, store: Store) -> None:
    follower = Follower(settings, store)
    other = new_store(settings)

    other.put_articles([row(ARTICLE)])
    other.withdraw("10", UPDATED)
    follower.refresh()

    assert "new" in public_ids(follower)
    assert "10" not in public_ids(follower)
    assert "10" in follower.snapshot.withdrawn


def test_a_stored_fold_in_is_the_same_as_a_computed_one(settings: Settings, store: Store) -> None:
    follower = Follower(settings, store)
    model = follower.snapshot.model
    embedding = fold_in(model, ARTICLE).to_bytes()
    stored = replace(row(ARTICLE, embedding=embedding), model_version=model.manifest.version)

    store.put_articles([stored])
    follower.refresh()

    assert follower.snapshot.folded[0].to_bytes() == embedding


@pytest.mark.parametrize("embedding", [b"", b"not a fold-in" * 10])
def test_an_invalid_fold_in_is_computed_again(settings: Settings, store: Store, embedding: bytes) -> None:
    follower = Follower(settings, store)
    model = follower.snapshot.model
    stored = replace(row(ARTICLE, embedding=embedding), model_version=model.manifest.version)

    store.put_articles([stored])
    follower.refresh()

    assert follower.snapshot.folded[-1].to_bytes() == fold_in(model, ARTICLE).to_bytes()


def test_an_unreadable_row_does_not_affect_other_rows(settings: Settings, store: Store) -> None:
    follower = Follower(settings, store)
    store.put_articles(
        [replace(row(ARTICLE), id="odd", payload=b'{"id": 7, "from": "the future"}'), row(ARTICLE)]
    )

    follower.refresh()

    assert "new" in public_ids(follower)
    assert "odd" not in public_ids(follower)


def test_a_withdrawal_survives_a_restart_of_the_worker(settings: Settings, store: Store) -> None:
    assert "10" in public_ids(Follower(settings, store))

    store.withdraw("10", UPDATED)

    assert "10" not in public_ids(Follower(settings, new_store(settings)))


@pytest.mark.parametrize("running", [True, False])
def test_a_withdrawal_survives_the_loss_of_the_database(
    settings: Settings,
    store: Store,
    running: bool,  # noqa: FBT001
) -> None:
    store.withdraw("10", UPDATED)
    follower = Follower(settings, store)

    store.close()
    delete_database(settings)
    follower = follower if running else Follower(settings, new_store(settings))
    follower.refresh()

    assert "10" not in public_ids(follower)
    restored = new_store(settings).article("10")
    assert restored is not None
    assert restored.withdrawn


def test_a_withdrawal_survives_a_restore_of_an_older_backup(settings: Settings, store: Store) -> None:
    old = Article(id="10", title="Back again")
    store.put_articles([row(old, updated=UPDATED - 10)])
    store.close()
    file = Path(settings.database_url.removeprefix("sqlite:///"))
    backup = file.with_name("backup")
    shutil.copy(file, backup)
    store.withdraw("10", UPDATED)
    follower = Follower(settings, store)

    store.close()
    delete_database(settings)
    shutil.copy(backup, file)
    follower.refresh()

    assert "10" not in public_ids(follower)


def test_only_a_newer_article_lifts_a_withdrawal(settings: Settings, store: Store) -> None:
    store.withdraw("10", UPDATED)
    follower = Follower(settings, store)

    for updated, is_shown in ((UPDATED, False), (UPDATED + 1, True)):
        store.put_articles([row(Article(id="10", title="Back again"), updated=updated)])
        follower.refresh()
        assert ("10" in public_ids(follower)) is is_shown
    assert "10" in public_ids(Follower(settings, new_store(settings)))


def test_rules_survive_the_loss_of_the_database(settings: Settings, store: Store) -> None:
    store.put_rule("b", BLOCK)
    follower = Follower(settings, store)

    store.close()
    delete_database(settings)
    follower.refresh()

    assert follower.state.rules.active(NOW).hidden == {"10"}
    assert [rule_id for rule_id, _ in new_store(settings).rules().rules] == ["b"]


def test_a_deleted_rule_stays_deleted_after_a_restart(settings: Settings, store: Store) -> None:
    store.put_rule("b", BLOCK)
    Follower(settings, store)
    store.delete_rule("b")

    assert not Follower(settings, new_store(settings)).state.rules.rules


def test_without_the_database_a_restarted_worker_uses_the_last_state(
    settings: Settings, store: Store
) -> None:
    store.withdraw("10", UPDATED)
    follower = Follower(settings, store)
    unreachable = settings.model_copy(update={"database_url": "sqlite:////nowhere/at/all.db"})

    restarted = Follower(unreachable, new_store(unreachable))

    assert "10" not in public_ids(restarted)
    assert restarted.state.degraded == ("store",)
    assert follower.state.degraded == ()


def test_without_database_and_state_file_there_is_no_snapshot(settings: Settings) -> None:
    unreachable = settings.model_copy(update={"database_url": "sqlite:////nowhere/at/all.db"})
    follower = Follower(unreachable, new_store(unreachable))

    with pytest.raises(NotReadyError, match="withdrawals are unknown"):
        _ = follower.snapshot


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": 1}', '{"version":"x","withdrawn":[],"rules":[]}']
)
def test_an_invalid_state_file_is_ignored(settings: Settings, content: str) -> None:
    settings.state_file.write_text(content)
    unreachable = settings.model_copy(update={"database_url": "sqlite:////nowhere/at/all.db"})

    with pytest.raises(NotReadyError):
        _ = Follower(unreachable, new_store(unreachable)).snapshot


def test_a_state_file_that_cannot_be_written_is_reported_as_degraded(
    settings: Settings, store: Store, tmp_path: Path
) -> None:
    unwritable = settings.model_copy(update={"state_file": tmp_path / "no folder" / "state.json"})
    store.withdraw("10", UPDATED)

    follower = Follower(unwritable, store)

    assert follower.state.degraded == ("state",)
    assert "10" not in public_ids(follower)


def test_a_newer_model_is_opened_with_all_live_articles(settings: Settings, store: Store) -> None:
    store.put_articles([row(ARTICLE)])
    store.withdraw("10", UPDATED)
    follower = Follower(settings, store)
    first = follower.snapshot.model

    publish(build_model(newsroom()[:-2]), settings.models_dir, now=NOW + timedelta(hours=1))
    follower.refresh()

    assert follower.snapshot.model is not first
    assert "new" in public_ids(follower)
    assert "10" not in public_ids(follower)


def test_an_article_in_a_newer_model_is_no_longer_live(settings: Settings, store: Store) -> None:
    store.put_articles([row(ARTICLE)])
    follower = Follower(settings, store)
    assert follower.snapshot.live_shown == 1

    publish(build_model([*newsroom(), replace(ARTICLE, updated_at=NOW)]), settings.models_dir, now=NOW)
    follower.refresh()

    assert follower.snapshot.live_shown == 0
    assert "new" in public_ids(follower)


def test_a_correction_newer_than_the_model_replaces_its_article(settings: Settings, store: Store) -> None:
    store.put_articles([row(replace(ARTICLE, title="As corrected"), updated=UPDATED + 1)])

    publish(build_model([*newsroom(), replace(ARTICLE, updated_at=NOW)]), settings.models_dir, now=NOW)
    documents = Follower(settings, store).snapshot.articles

    assert documents.titles[documents.find("new") or 0] == "As corrected"


@pytest.mark.slow
def test_rows_of_old_corrections_are_removed(settings: Settings, store: Store) -> None:
    follower = Follower(settings, store)

    for number in range(300):
        store.put_articles([row(replace(ARTICLE, title=f"State {number}"), updated=UPDATED + number)])
        follower.refresh()

    assert follower.snapshot.n_live < 250
    related = Related(follower.snapshot)
    assert related.articles.titles[related.find("new", NOW) or 0] == "State 299"


class _HangingStore(Store):
    """A store that responds twice, and then hangs until it is released."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.is_hanging, self.released, self._remaining = Event(), Event(), 2

    def changes(self, after: int = 0) -> Changes:
        self._remaining -= 1
        if self._remaining < 0:
            self.is_hanging.set()
            self.released.wait(20)
        return super().changes(after)


def test_a_store_that_never_responds_is_reported_as_degraded(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "_SILENT_SECONDS", 0.0)
    hanging = _HangingStore(settings.database_url)
    follower = Follower(settings.model_copy(update={"live_poll_seconds": 0.01}), hanging)
    before = follower.degraded

    follower.start()

    assert hanging.is_hanging.wait(20)
    assert (before, follower.degraded) == ((), ("store",))
    assert "10" in public_ids(follower)
    follower.stop()
    hanging.released.set()


def test_a_restarted_worker_uses_the_last_known_rules_of_a_broken_file(
    settings: Settings, store: Store, tmp_path: Path
) -> None:
    file = tmp_path / "rules.toml"
    with_file = settings.model_copy(update={"rules_file": file})
    file.write_text(BLOCK_FILE)
    Follower(with_file, store)
    file.write_text("[[rule]]")

    restarted = Follower(with_file, new_store(with_file))

    assert restarted.state.rules.active(NOW).hidden == {"10"}
    assert restarted.state.degraded == ("rules",)


@pytest.mark.parametrize("content", ["no TOML", "[[rule]]", None, b"\xff"])
def test_a_first_worker_starts_without_the_rules_of_a_broken_file(
    settings: Settings, store: Store, tmp_path: Path, content: str | bytes | None
) -> None:
    file = tmp_path / "rules.toml"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    follower = Follower(settings.model_copy(update={"rules_file": file}), store)

    assert (follower.file_rules(), follower.state.degraded) == ((), ("rules",))
    assert "10" in public_ids(follower)


class _FaultyStore(Store):
    """A store that fails at chosen calls of `changes`."""

    fails: list[Exception | None]
    calls = 0

    def changes(self, after: int = 0) -> Changes:
        self.calls += 1
        error = self.fails.pop(0) if self.fails else None
        if error is not None:
            raise error
        return super().changes(after)


@pytest.fixture
def faulty(settings: Settings) -> Iterator[_FaultyStore]:
    faulty = _FaultyStore(settings.database_url, pause_seconds=0)
    faulty.fails = []
    yield faulty
    faulty.close()


def test_if_the_second_read_after_a_restart_fails_the_articles_are_read_later(
    settings: Settings, store: Store, faulty: _FaultyStore
) -> None:
    store.put_articles([row(ARTICLE)])
    store.withdraw("10", UPDATED)
    Follower(settings, store)
    faulty.fails = [None, StoreDownError("gone")]

    follower = Follower(settings, faulty)
    before = follower.state.degraded
    follower.refresh()

    assert (before, follower.state.degraded) == (("store",), ())
    assert "new" in public_ids(follower)


def test_one_unexpected_error_is_logged_once_reported_and_changes_nothing(
    settings: Settings, store: Store, faulty: _FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    follower = Follower(settings, faulty)
    store.withdraw("10", UPDATED)
    faulty.fails = [RuntimeError("by chance")]

    follower.refresh()
    after_fault = follower.state.degraded
    follower.refresh()

    assert (after_fault, follower.state.degraded) == (("refresh",), ())
    assert "10" not in public_ids(follower)
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["by chance"]


def test_after_a_repeated_error_nothing_is_shown_until_a_refresh_succeeds(
    settings: Settings, faulty: _FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    follower = Follower(settings, faulty)
    faulty.fails = [RuntimeError("again")] * 4

    for _ in range(2):
        follower.refresh()
        with pytest.raises(NotReadyError, match="cannot follow"):
            _ = follower.snapshot
    assert "refresh" in follower.degraded
    follower.refresh()

    assert "10" in public_ids(follower)
    assert len(caplog.records) == 1


def test_a_newer_model_that_cannot_be_opened_is_reported_as_degraded(
    settings: Settings, store: Store
) -> None:
    follower = Follower(settings.model_copy(update={"model_retry_seconds": 0}), store)
    current = settings.models_dir / "CURRENT"
    valid = current.read_bytes()

    current.write_bytes(b"nonsense")
    follower.refresh()
    store.withdraw("10", UPDATED)
    follower.refresh()
    assert follower.degraded == ("model",)
    assert "10" not in public_ids(follower)
    current.write_bytes(valid)
    follower.refresh()
    assert not follower.state.degraded


def test_without_a_model_requests_do_not_read_the_store(
    settings: Settings, faulty: _FaultyStore, tmp_path: Path
) -> None:
    follower = Follower(
        settings.model_copy(update={"models_dir": tmp_path / "none", "model_retry_seconds": 60}), faulty
    )
    calls = faulty.calls

    for _ in range(10):
        with pytest.raises(NotReadyError):
            _ = follower.snapshot

    assert faulty.calls == calls


def test_a_new_model_and_new_rules_are_visible_together_or_not_at_all(
    settings: Settings, store: Store, faulty: _FaultyStore
) -> None:
    """The state with the new model has the withdrawal that was made before the model was published."""
    follower = Follower(settings, faulty)
    before = follower.state
    store.withdraw("10", UPDATED)
    store.put_rule("b", BLOCK)
    publish(build_model(newsroom()[:-2]), settings.models_dir, now=NOW + timedelta(hours=1))
    faulty.fails = [RuntimeError("halfway")] * 2

    follower.refresh()
    assert (follower.state.snapshot, follower.state.rules) == (before.snapshot, before.rules)
    follower.refresh()

    assert follower.snapshot is not before.snapshot
    assert "10" not in public_ids(follower)
    assert follower.state.rules.active(NOW).hidden == {"10"}


def test_a_request_has_one_moment_and_one_view(settings: Settings) -> None:
    moments = iter(NOW + timedelta(minutes=minute) for minute in range(100))
    app = create_app(settings, clock=lambda: next(moments))
    context: Context = app.extensions["recommender"]

    with app.test_request_context("/"):
        view, now, state = context.view(), context.now, context.state
        context.store.withdraw("10", UPDATED)
        context.follower.refresh()
        same = (context.view() is view, context.now == now == view.now, context.state is state)
        is_listed = context.related is view.related
    with app.test_request_context("/"):
        is_new = context.view() is not view and "10" in context.state.withdrawn
    context.store.close()

    assert (same, is_listed, is_new) == ((True, True, True), True, True)


def test_a_model_that_cannot_be_opened_is_logged_once_for_each_reason(
    settings: Settings, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings.model_copy(update={"model_retry_seconds": 0.0})
    current = settings.models_dir / "CURRENT"
    pointer = current.read_bytes()
    faults = [None, b"nothing\n", None, pointer.replace(b" ", b" f"), pointer, None]
    messages = []

    current.unlink()
    follower = Follower(settings, store)
    for fault in faults:
        current.unlink(missing_ok=True)
        if fault is not None:
            current.write_bytes(fault)
        for _ in range(3):
            follower.refresh()
        messages.append([record.getMessage() for record in caplog.records])
        caplog.clear()

    assert [len(of_fault) for of_fault in messages] == [1, 1, 1, 1, 0, 1]
    assert "no published model in" in messages[0][0]
    assert messages[-1][0].startswith("cannot open the newer model: no published model")
