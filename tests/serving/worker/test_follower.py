"""What a worker knows of the newsroom, whatever becomes of the database, the model and the worker itself."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest

from recommender.article import Article
from recommender.artifact import publish
from recommender.model import Model, microseconds
from recommender.serving.index.fold_in import fold_in
from recommender.serving.lists.related import Related
from recommender.serving.store import ArticleRow, Changes, Store
from recommender.serving.worker import follower as live_module
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


def ids_of(live: Follower) -> set[str]:
    documents = live.snapshot.articles
    return {documents.ids[at] for at in documents.newest.tolist()}


def lose(settings: Settings) -> None:
    for path in Path(settings.database_url.removeprefix("sqlite:///")).parent.glob("recommender.db*"):
        path.unlink()


ARTICLE = Article(id="new", title="Storm floods the harbour", published_at=NOW)


def test_what_another_worker_stored_is_taken_up(settings: Settings, store: Store) -> None:
    live = Follower(settings, store)
    other = new_store(settings)

    other.put_articles([row(ARTICLE)])
    other.withdraw("10", UPDATED)
    live.refresh()

    assert "new" in ids_of(live)
    assert "10" not in ids_of(live)
    assert "10" in live.snapshot.withdrawn


def test_a_placement_out_of_the_store_is_what_would_be_computed(settings: Settings, store: Store) -> None:
    live = Follower(settings, store)
    model = live.snapshot.model
    placed = fold_in(model, ARTICLE).to_bytes()
    with_it = replace(row(ARTICLE, embedding=placed), model_version=model.manifest.version)

    store.put_articles([with_it])
    live.refresh()

    assert live.snapshot.folded[0].to_bytes() == placed


@pytest.mark.parametrize("embedding", [b"", b"not a placement" * 10])
def test_a_placement_that_is_none_is_computed_again(
    settings: Settings, store: Store, embedding: bytes
) -> None:
    live = Follower(settings, store)
    model = live.snapshot.model
    spoilt = replace(row(ARTICLE, embedding=embedding), model_version=model.manifest.version)

    store.put_articles([spoilt])
    live.refresh()

    assert live.snapshot.folded[0].to_bytes() == fold_in(model, ARTICLE).to_bytes()


def test_a_row_that_nobody_can_read_harms_no_other(settings: Settings, store: Store) -> None:
    live = Follower(settings, store)
    store.put_articles(
        [replace(row(ARTICLE), id="odd", payload=b'{"id": 7, "from": "the future"}'), row(ARTICLE)]
    )

    live.refresh()

    assert "new" in ids_of(live)
    assert "odd" not in ids_of(live)


def test_a_withdrawal_outlives_the_worker(settings: Settings, store: Store) -> None:
    assert "10" in ids_of(Follower(settings, store))

    store.withdraw("10", UPDATED)

    assert "10" not in ids_of(Follower(settings, new_store(settings)))


@pytest.mark.parametrize("running", [True, False])
def test_a_withdrawal_outlives_the_database(settings: Settings, store: Store, running: bool) -> None:  # noqa: FBT001
    store.withdraw("10", UPDATED)
    live = Follower(settings, store)

    store.close()
    lose(settings)
    live = live if running else Follower(settings, new_store(settings))
    live.refresh()

    assert "10" not in ids_of(live)
    held = new_store(settings).article("10")
    assert held is not None
    assert held.withdrawn


def test_a_withdrawal_outlives_a_backup_that_does_not_know_it(settings: Settings, store: Store) -> None:
    old = Article(id="10", title="Back again")
    store.put_articles([row(old, updated=UPDATED - 10)])
    store.close()
    file = Path(settings.database_url.removeprefix("sqlite:///"))
    backup = file.with_name("backup")
    shutil.copy(file, backup)
    store.withdraw("10", UPDATED)
    live = Follower(settings, store)

    store.close()
    lose(settings)
    shutil.copy(backup, file)
    live.refresh()

    assert "10" not in ids_of(live)


def test_only_a_newer_article_lifts_a_withdrawal(settings: Settings, store: Store) -> None:
    store.withdraw("10", UPDATED)
    live = Follower(settings, store)

    for updated, is_shown in ((UPDATED, False), (UPDATED + 1, True)):
        store.put_articles([row(Article(id="10", title="Back again"), updated=updated)])
        live.refresh()
        assert ("10" in ids_of(live)) is is_shown
    assert "10" in ids_of(Follower(settings, new_store(settings)))


def test_blocks_outlive_the_database(settings: Settings, store: Store) -> None:
    store.put_rule("b", BLOCK)
    live = Follower(settings, store)

    store.close()
    lose(settings)
    live.refresh()

    assert live.state.rules.active(NOW).hidden == {"10"}
    assert [rule_id for rule_id, _ in new_store(settings).rules().rules] == ["b"]


def test_a_rule_that_was_deleted_stays_so_after_a_restart(settings: Settings, store: Store) -> None:
    store.put_rule("b", BLOCK)
    Follower(settings, store)
    store.delete_rule("b")

    assert not Follower(settings, new_store(settings)).state.rules.rules


def test_without_the_database_the_last_state_holds(settings: Settings, store: Store) -> None:
    store.withdraw("10", UPDATED)
    live = Follower(settings, store)
    away = settings.model_copy(update={"database_url": "sqlite:////nowhere/at/all.db"})

    restarted = Follower(away, new_store(away))

    assert "10" not in ids_of(restarted)
    assert restarted.state.degraded == ("store",)
    assert live.state.degraded == ()


def test_without_database_and_file_nothing_is_answered(settings: Settings) -> None:
    away = settings.model_copy(update={"database_url": "sqlite:////nowhere/at/all.db"})
    live = Follower(away, new_store(away))

    with pytest.raises(NotReadyError, match="withdrawals are unknown"):
        _ = live.snapshot


@pytest.mark.parametrize(
    "spoilt", ["", "{", "[]", '{"version": 1}', '{"version":"x","withdrawn":[],"rules":[]}']
)
def test_a_spoilt_file_is_as_none(settings: Settings, spoilt: str) -> None:
    settings.state_file.write_text(spoilt)
    away = settings.model_copy(update={"database_url": "sqlite:////nowhere/at/all.db"})

    with pytest.raises(NotReadyError):
        _ = Follower(away, new_store(away)).snapshot


def test_a_file_that_cannot_be_written_is_told(settings: Settings, store: Store, tmp_path: Path) -> None:
    nowhere = settings.model_copy(update={"state_file": tmp_path / "no folder" / "state.json"})
    store.withdraw("10", UPDATED)

    live = Follower(nowhere, store)

    assert live.state.degraded == ("state",)
    assert "10" not in ids_of(live)


def retrained(articles: list[Article]) -> Model:
    return build_model(articles)


def test_a_newer_model_is_taken_up_with_all_that_is_live(settings: Settings, store: Store) -> None:
    store.put_articles([row(ARTICLE)])
    store.withdraw("10", UPDATED)
    live = Follower(settings, store)
    first = live.snapshot.model

    publish(retrained(newsroom()[:-2]), settings.models_dir, now=NOW + timedelta(hours=1))
    live.refresh()

    assert live.snapshot.model is not first
    assert "new" in ids_of(live)
    assert "10" not in ids_of(live)


def test_what_the_model_has_come_to_know_is_live_no_longer(settings: Settings, store: Store) -> None:
    store.put_articles([row(ARTICLE)])
    live = Follower(settings, store)
    assert live.snapshot.live_shown == 1

    publish(retrained([*newsroom(), replace(ARTICLE, updated_at=NOW)]), settings.models_dir, now=NOW)
    live.refresh()

    assert live.snapshot.live_shown == 0
    assert "new" in ids_of(live)


def test_a_correction_newer_than_the_model_wins(settings: Settings, store: Store) -> None:
    store.put_articles([row(replace(ARTICLE, title="As corrected"), updated=UPDATED + 1)])

    publish(retrained([*newsroom(), replace(ARTICLE, updated_at=NOW)]), settings.models_dir, now=NOW)
    documents = Follower(settings, store).snapshot.articles

    assert documents.titles[documents.find("new") or 0] == "As corrected"


@pytest.mark.slow
def test_many_corrections_do_not_pile_up(settings: Settings, store: Store) -> None:
    live = Follower(settings, store)

    for number in range(300):
        store.put_articles([row(replace(ARTICLE, title=f"State {number}"), updated=UPDATED + number)])
        live.refresh()

    assert live.snapshot.n_live < 250
    related = Related(live.snapshot)
    assert related.articles.titles[related.find("new", NOW) or 0] == "State 299"


class _Hung(Store):
    """A store that answers once, and then never again until it is let go."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.asked, self.let_go, self._answers = Event(), Event(), 2

    def changes(self, after: int = 0) -> Changes:
        self._answers -= 1
        if self._answers < 0:
            self.asked.set()
            self.let_go.wait(20)
        return super().changes(after)


def test_a_store_that_never_answers_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "_SILENT_SECONDS", 0.0)
    hung = _Hung(settings.database_url)
    live = Follower(settings.model_copy(update={"live_poll_seconds": 0.01}), hung)
    before = live.degraded

    live.start()

    assert hung.asked.wait(20)
    assert (before, live.degraded) == ((), ("store",))
    assert "10" in ids_of(live)
    live.stop()
    hung.let_go.set()
