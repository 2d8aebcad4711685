"""What the files of the database hold of readers, and for how long."""

from contextlib import closing
from pathlib import Path

from recommender.serving.store import Event, Store
from tests.serving.store.test_counting import HOUR, NOW


def test_ids_and_hashes_are_in_no_file_as_they_were_given(tmp_path: Path) -> None:
    secrets = [b"event-id-of-a-reader", b"visitor-hash-16b", b"source-hash-16by"]
    with closing(Store(f"sqlite:///{tmp_path / 'store.db'}")) as store:
        store.count(
            [Event("a", "view", NOW, event_id=secrets[0].decode(), visitor=secrets[1], source=secrets[2])],
            NOW,
        )

        files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    assert {"store.db", "store.db-wal"} <= set(files)
    assert not [name for name, content in files.items() if any(secret in content for secret in secrets)]


def test_a_salt_of_the_past_is_in_no_file(tmp_path: Path) -> None:
    with closing(Store(f"sqlite:///{tmp_path / 'store.db'}")) as store:
        yesterday = store.salt(NOW)
        today = store.salt(NOW + 24 * HOUR)

        store.prune(NOW + 24 * HOUR)

        content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert today in content
    assert yesterday not in content
