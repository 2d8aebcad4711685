"""Data about readers in the files of the database."""

from contextlib import closing
from pathlib import Path

from recommender.serving.store import Event, Store
from tests.support.counts import HOUR, NOW


def test_no_file_contains_event_ids_or_hashes_in_plain_form(tmp_path: Path) -> None:
    secrets = [b"event-id-of-a-reader", b"visitor-hash-16b", b"source-hash-16by"]
    with closing(Store(f"sqlite:///{tmp_path / 'store.db'}")) as store:
        store.count(
            [Event("a", "view", NOW, event_id=secrets[0].decode(), visitor=secrets[1], source=secrets[2])],
            NOW,
        )

        files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    assert {"store.db", "store.db-wal"} <= set(files)
    assert not [name for name, content in files.items() if any(secret in content for secret in secrets)]


def test_no_file_contains_an_earlier_salt(tmp_path: Path) -> None:
    with closing(Store(f"sqlite:///{tmp_path / 'store.db'}")) as store:
        yesterday = store.salt(NOW)
        today = store.salt(NOW + 24 * HOUR)

        store.prune(NOW + 24 * HOUR)

        content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert today in content
    assert yesterday not in content
