"""One soak: a server, its load and its disturbances, and the report."""

import json
import re
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

import numpy as np
import psutil
from rich.table import Table

from recommender.article import Article
from recommender.model import Model
from recommender.serving.http.auth import new_key
from recommender.training.readers.corpus import read_articles
from recommender.training.train import train
from tests.benchmarks.training.corpora import SAMPLE
from tests.soak.disturbances import ArticleChanges, Kills, Reloads, RuleChanges
from tests.soak.expectations import STATES, Expectations, Fault
from tests.soak.traffic import KILL_SECONDS, Client, Reader, ServerEndedError, Tally
from tests.soak.usage import Sample, growth
from tests.support.servers import Server, serving

_READERS = 4
_SAMPLE_SECONDS = 2.0
_EDITIONS = "AB"
_CHANGED, _BLOCKED = 20, 60  # articles of the models that are changed, and after them those that are blocked
_LOGGED = re.compile(r" (ERROR|CRITICAL) |^Traceback|^Fatal|panicked")
_EXIT = "_granian Unexpected exit from worker"
_KEY, _KEY_SETTING = new_key("soak", ["articles", "events", "rules"])


@dataclass(frozen=True)
class Soak:
    """What a run has shown."""

    workers: int
    seconds: float
    statuses: dict[str, dict[int, int]]  # by kind of request
    milliseconds: dict[str, dict[str, float]]  # median, 99th percentile and maximum by kind of request
    done: dict[str, int]  # disturbances
    found: dict[str, int]  # mixed, forbidden and wrong responses, responses with 5xx, broken connections
    faults: list[str]
    samples: list[Sample]


def soak(seconds: float, workers: int) -> Soak:
    """Run a server of the sample newsroom under load and disturbances."""
    articles = read_articles(SAMPLE).articles
    editions = {edition: _edition(articles, edition) for edition in _EDITIONS}
    with tempfile.TemporaryDirectory() as folder:
        return _Run(Path(folder), articles, editions, workers).run(seconds)


def _edition(articles: Sequence[Article], edition: str) -> Model:
    named = [replace(article, title=f"{article.title} (edition {edition})") for article in articles]
    return train(named, now=datetime.now(UTC)).model


class _Run:
    """A run: everything that its threads share."""

    def __init__(
        self, folder: Path, articles: Sequence[Article], editions: dict[str, Model], workers: int
    ) -> None:
        self._folder, self._articles, self._workers = folder, articles, workers
        self._expectations, self._tally = Expectations(), Tally()
        self._done, self._end, self._samples = Counter[str](), Event(), list[Sample]()
        self._reloads = Reloads(folder / "models", editions, self._expectations, self._done)
        self._crashes: list[Exception] = []

    def run(self, seconds: float) -> Soak:
        """Run everything for some seconds."""
        self._reloads.publish()
        settings = {
            "models_dir": self._folder / "models",
            "database_url": f"sqlite:///{self._folder / 'store.db'}",
            "state_file": self._folder / "state.json",
            "write_keys": _KEY_SETTING,
            "address_limit": "1000000/second",
        }
        log = self._folder / "log"
        with serving(log, self._workers, **settings) as server:
            self._load(server, seconds)
            if server.process.poll() is None:
                self._check_at_rest(server)
        self._check_events()
        return self._result(seconds, log.read_text(errors="replace"))

    def _load(self, server: Server, seconds: float) -> None:
        """Run all threads for some seconds, or until the server ends. Raises what a thread raises."""
        threads = [Thread(target=self._repeat, args=(step,)) for step in self._steps(server)]
        begun = time.monotonic()
        try:
            for thread in threads:
                thread.start()
            while (spent := time.monotonic() - begun) < seconds and not self._end.is_set():
                if server.process.poll() is not None:
                    self._tally.add([Fault("wrong", f"the server ended after {spent:.0f} s", "")])
                    break
                with suppress(psutil.NoSuchProcess):  # it has just ended
                    self._samples.append(Sample.of(server.process.pid, spent))
                self._end.wait(min(_SAMPLE_SECONDS, seconds - spent))
        finally:
            self._end.set()
        for thread in threads:
            thread.join()
        if self._crashes:
            raise self._crashes[0]

    def _steps(self, server: Server) -> Iterator[Callable[[], None]]:
        client = Client(server, self._tally, _KEY)
        changed, blocked = self._articles[:_CHANGED], self._articles[_CHANGED:_BLOCKED]
        for seed in range(_READERS):
            reader = Reader(client, self._tally, self._expectations, self._articles, seed)
            yield reader.run_once
        yield ArticleChanges(client, self._expectations, changed, self._done).run_once
        yield RuleChanges(client, self._expectations, blocked, changed, self._done).run_once
        yield self._reloads.run_once
        yield Kills(server, self._workers, self._tally, self._done).run_once

    def _repeat(self, step: Callable[[], None]) -> None:
        try:
            while not self._end.is_set():
                step()
        except ServerEndedError:
            pass  # the main thread reports it
        except Exception as error:  # noqa: BLE001 the run reports it
            self._crashes.append(error)
            self._end.set()

    def _check_at_rest(self, server: Server) -> None:
        """Check all changed articles once more: no acknowledged change is lost."""
        time.sleep(KILL_SECONDS)
        client = Client(server, self._tally, _KEY)
        for article_id in [
            article_id for state in STATES for article_id in self._expectations.changed(state)
        ]:
            target, begun = f"/v1/article?id={article_id}", time.monotonic()
            answer = client.ask("article", target)
            if answer is not None:
                now = time.monotonic()
                self._tally.add([*self._expectations.status_fault(article_id, target, answer, begun, now)])

    def _check_events(self) -> None:
        with closing(sqlite3.connect(self._folder / "store.db")) as database:
            ((counted,),) = database.execute("SELECT coalesce(sum(n), 0) FROM counts WHERE type = 'view'")
        if counted != self._tally.events:
            detail = f"{self._tally.events} events were accepted, but {counted} are counted"
            self._tally.add([Fault("wrong", detail, "/v1/events")])

    def _result(self, seconds: float, log: str) -> Soak:
        tally = self._tally
        statuses = {kind: dict(sorted(counts.items())) for kind, counts in sorted(tally.statuses.items())}
        failed = sum(n for counts in statuses.values() for status, n in counts.items() if status >= 500)
        logged = [line for line in log.splitlines() if _LOGGED.search(line) and _EXIT not in line]
        exits = log.count(_EXIT) - self._done["kills"]
        found = {kind: tally.n_faults[kind] for kind in ("mixed", "forbidden", "wrong")} | {
            "5xx": failed,
            "broken by a kill": tally.broken["killed"],
            "broken": tally.broken["unexplained"],
        }
        faults = [f"{fault.kind}: {fault.detail}: {fault.target}" for fault in tally.faults]
        faults += [f"{failed} responses with 5xx"] if failed else []
        faults += [f"{exits} workers ended that were not killed"] if exits else []
        faults += [f"growth: {grown}" for grown in growth(self._samples)]
        faults += [f"log: {line}" for line in logged[:10]]
        milliseconds = {
            kind: dict(zip(("median", "p99", "max"), _percentiles(tally.seconds[kind]), strict=True))
            for kind in statuses
        }
        return Soak(
            self._workers, seconds, statuses, milliseconds, dict(self._done), found, faults, self._samples
        )


def _percentiles(seconds: list[float]) -> list[float]:
    return [round(1000 * float(value), 1) for value in np.percentile(seconds, (50, 99, 100))]


def report(runs: Sequence[Soak]) -> str:
    """Return the runs as JSON."""
    return json.dumps(
        {"failed": any(run.faults for run in runs), "runs": [asdict(run) for run in runs]}, indent=1
    )


def tables(run: Soak) -> Iterator[Table]:
    """Yield what a run has shown, as tables."""
    title = f"{run.workers} workers, {run.seconds:.0f} s"
    table = Table("requests", "statuses", "median ms", "p99 ms", "max ms", title=title)
    for kind, statuses in run.statuses.items():
        shown = " ".join(f"{status}: {n:,}" for status, n in statuses.items())
        table.add_row(kind, shown, *(f"{value:.1f}" for value in run.milliseconds[kind].values()))
    yield table
    table = Table("disturbances and faults", "number")
    for name, n in [*run.done.items(), *run.found.items()]:
        table.add_row(name, f"{n:,}")
    yield table
    table = Table("at second", "PSS MiB", "descriptors")
    for sample in run.samples[:: max(1, len(run.samples) // 10)]:
        table.add_row(f"{sample.seconds:.0f}", f"{sample.pss_mib:.0f}", f"{sample.descriptors:,}")
    yield table
