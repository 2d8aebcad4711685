"""Maintenance prepares ranks and title search before a request needs them, and deletes old counts."""

from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

import pytest

from recommender.serving.http.auth import new_key
from recommender.serving.index.title_index import TitleSegment
from recommender.serving.store import Store, StoreDownError
from recommender.serving.worker.maintenance import Maintenance
from tests.support.service import VIEW, ServiceUnderTest, get_json, item_ids


def test_ranks_are_computed_before_a_request_needs_them(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = ServiceUnderTest(models_dir)
    service.send(VIEW)
    service.now += timedelta(minutes=1)
    Maintenance(service.app.extensions["recommender"]).run_once()

    def fail(*_: object) -> None:
        raise AssertionError("the counts were read for the request")

    monkeypatch.setattr(Store, "counts", fail)
    assert item_ids(get_json(service, "/v1/trending"))[0] == "a"


def test_titles_are_indexed_before_a_search_needs_them(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, setting = new_key("cms", ["articles"])
    service = ServiceUnderTest(models_dir, write_keys=setting)
    article = {"title": "Zyxwer storm", "body": "It reached the harbour."}
    added = service.client.put("/v1/articles/L1", json=article, headers={"Authorization": f"Bearer {key}"})
    assert added.status_code == HTTPStatus.CREATED
    Maintenance(service.app.extensions["recommender"]).run_once()

    def fail(*_: object) -> None:
        raise AssertionError("the titles were read for the request")

    monkeypatch.setattr(TitleSegment, "of", fail)
    assert item_ids(get_json(service, "/v1/search?q=zyxwer")) == ["L1"]


def test_old_counts_are_deleted(models_dir: Path) -> None:
    service = ServiceUnderTest(models_dir)
    service.send(VIEW)
    service.now += timedelta(days=9)

    Maintenance(service.app.extensions["recommender"]).run_once()

    assert service.counts() == {}


def test_maintenance_needs_neither_a_database_nor_a_model(
    models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreDownError("down")

    services = [ServiceUnderTest(models_dir), ServiceUnderTest(tmp_path)]
    for name in ("counts", "prune"):
        monkeypatch.setattr(Store, name, fail)

    for service in services:
        Maintenance(service.app.extensions["recommender"]).run_once()
