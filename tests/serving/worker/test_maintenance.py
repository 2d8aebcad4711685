"""A worker keeps its ranks fresh and its database small, whether or not somebody asks."""

from datetime import timedelta
from pathlib import Path

import pytest

from recommender.serving.index.title_index import TitleSegment
from recommender.serving.store import Store, StoreDownError
from recommender.serving.worker.maintenance import Maintenance
from tests.serving.routes.test_events import VIEW, Newsroom
from tests.serving.routes.test_trending import get, ids


def test_ranks_are_made_before_they_are_asked_for(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = Newsroom(models_dir)
    room.send(VIEW)
    room.now += timedelta(minutes=1)
    Maintenance(room.app.extensions["recommender"]).look()

    def fail(*_: object) -> None:
        raise AssertionError("the counts were read for the request")

    monkeypatch.setattr(Store, "counts", fail)
    assert ids(get(room, "/v1/trending"))[0] == "a"


def test_titles_are_read_before_somebody_searches(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = Newsroom(models_dir)
    Maintenance(room.app.extensions["recommender"]).look()

    def fail(*_: object) -> None:
        raise AssertionError("the titles were read for the request")

    monkeypatch.setattr(TitleSegment, "of", fail)
    assert ids(get(room, "/v1/search?q=harbour"))


def test_what_is_past_is_forgotten(models_dir: Path) -> None:
    room = Newsroom(models_dir)
    room.send(VIEW)
    room.now += timedelta(days=9)

    Maintenance(room.app.extensions["recommender"]).look()

    assert room.counts() == {}


def test_neither_a_database_nor_a_model_is_needed(
    models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreDownError("gone")

    rooms = [Newsroom(models_dir), Newsroom(tmp_path)]
    for name in ("counts", "prune"):
        monkeypatch.setattr(Store, name, fail)

    for room in rooms:
        Maintenance(room.app.extensions["recommender"]).look()
