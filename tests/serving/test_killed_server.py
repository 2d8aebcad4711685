"""A server is killed repeatedly while it receives events, and counts every event exactly once."""

import http.client
import json
from collections import Counter
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from threading import Thread

import pytest

from recommender.serving.store import Store
from tests.support.servers import Server, serving
from tests.support.waiting import eventually

KEY = "a-key-of-the-test"
KILLS = 10
BATCHES = 200
EVENTS = 100  # of a batch
CLIENTS = 2


class Client(Thread):
    """Sends its batches in order and repeats a batch until the current server acknowledges it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.batches = [
            [
                {
                    "article_id": f"{(batch * number) % 7}",
                    "type": "view",
                    "event_id": f"{name} {batch} {number}",
                }
                for number in range(EVENTS)
            ]
            for batch in range(BATCHES)
        ]
        self.port = 0
        self.acknowledged = 0

    def run(self) -> None:
        for batch in self.batches:
            eventually(lambda batch=batch: self._send(batch), 120)  # type: ignore[misc]
            self.acknowledged += 1

    def _send(self, batch: list[dict[str, str]]) -> bool:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            try:
                connection.request("POST", "/v1/events", json.dumps({"events": batch}), headers)
                answer = connection.getresponse()
                body = json.loads(answer.read())
            except (OSError, http.client.HTTPException):
                return False
        assert answer.status in {200, 503}, body
        return answer.status == 200


def wait_for(client: Client, batches: int) -> None:
    """Return once the client has had so many more acknowledged, or all, within a minute."""
    target = min(client.acknowledged + batches, BATCHES)
    eventually(lambda: client.acknowledged >= target, 60, lambda: f"{client.acknowledged} of {target}")


@pytest.mark.slow
def test_every_event_is_counted_once_whenever_the_server_is_killed(models_dir: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'killed.db'}"
    clients = [Client(str(number)) for number in range(CLIENTS)]

    def point(server: Server) -> None:
        for client in clients:
            client.port = server.port

    for number in range(KILLS + 1):
        with serving(
            tmp_path / "log",
            workers=2,
            models_dir=models_dir,
            database_url=url,
            state_file=tmp_path / "state.json",
            write_keys=f"test:{sha256(KEY.encode()).hexdigest()}:events",
        ) as server:
            point(server)
            if number == 0:
                for client in clients:
                    client.start()
            if number == KILLS:
                for client in clients:
                    client.join()
            else:
                wait_for(clients[number % CLIENTS], batches=BATCHES // (KILLS + 2))
                server.kill()

    sent = Counter(event["article_id"] for client in clients for batch in client.batches for event in batch)
    with closing(Store(url)) as store:
        counts = store.counts()
    stored: Counter[str] = Counter()
    for article, n in zip(counts.article_codes, counts.counts, strict=True):
        stored[counts.article_ids[article]] += int(n)
    assert stored == sent
