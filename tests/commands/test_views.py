"""`recommender import views`: the counts of an analytics tool are counted exactly once."""

import csv
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from werkzeug.wrappers import Request, Response

from recommender.cli import cli
from recommender.commands import views
from recommender.serving.app import create_app
from recommender.serving.http.auth import new_key
from recommender.serving.store import Store
from recommender.settings import Settings
from tests.support.sites import listening

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
AT = HOUR.isoformat()


@pytest.fixture(autouse=True)
def _models(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOMMENDER_MODELS_DIR", str(published))
    monkeypatch.setenv("RECOMMENDER_VERIFY", "false")


def table(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def imported(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["import", "views", *map(str, arguments)])


def counted() -> Counter[tuple[str, str]]:
    store, total = Store(Settings.read().database_url), Counter[tuple[str, str]]()
    rows = store.counts()
    for article, kind, count in zip(rows.article_codes, rows.type_codes, rows.counts.tolist(), strict=True):
        total[rows.article_ids[article], rows.types[kind]] += count
    store.close()
    return total


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_each_kind_of_file_is_read(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame({"article_id": ["1048", "7"], "views": [212, 3], "ts": [AT, AT]})
    path = tmp_path / f"export.{suffix}"
    write = {
        "csv": lambda: frame.to_csv(path, index=False),
        "tsv": lambda: frame.to_csv(path, index=False, sep="\t"),
        "jsonl": lambda: frame.to_json(path, orient="records", lines=True),
        "parquet": lambda: frame.assign(ts=pd.to_datetime(frame["ts"])).to_parquet(path),
    }
    write[suffix]()

    done = imported(path)

    assert done.output == "2 rows: 2 counted, 0 counted before, 0 rejected\n"
    assert counted() == {("1048", "view"): 212, ("7", "view"): 3}


def test_a_repeated_import_counts_nothing_twice_but_equal_rows_each_count(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"article_id": "7", "count": 2, "ts": AT}] * 3
    imported(table(tmp_path / "export.csv", rows[:2]))

    done = imported(table(tmp_path / "export.csv", rows))

    assert done.output == "3 rows: 1 counted, 2 counted before, 0 rejected\n"
    assert counted() == {("7", "view"): 6}


def test_an_article_is_found_by_its_url(tmp_path: Path) -> None:
    url = (
        "http://courier.example/politics/tractors-and-school-bags-block-eastfens-high-causeway/?utm_source=x"
    )
    rows = [{"url": url, "count": 4, "ts": AT}, {"url": "https://courier.example/", "count": 9, "ts": AT}]

    done = imported(table(tmp_path / "export.csv", rows))

    assert counted() == {("1022", "view"): 4}
    assert "row 2: no article has the url 'https://courier.example/'" in done.output
    assert "2 rows: 1 counted, 0 counted before, 1 rejected" in done.output


def test_columns_are_mapped_and_dates_get_the_time_zone(tmp_path: Path) -> None:
    local = (HOUR + timedelta(hours=9)).replace(tzinfo=None).isoformat(sep=" ")
    rows = [{"Page": "7", "Views": "1,234", "When": local, "What": "share"}]
    mapped = ["article_id=Page", "count=Views", "ts=When", "type=What"]

    options = [part for pair in mapped for part in ("--map", pair)]
    done = imported(table(tmp_path / "export.csv", rows), *options, "--timezone", "Asia/Tokyo")

    assert done.exit_code == 0, done.output
    store = Store(Settings.read().database_url)
    assert store.counts().minutes.tolist() == [int(HOUR.timestamp()) // 60]
    assert counted() == {("7", "share"): 1234}


def test_a_bad_row_is_reported_by_its_number(tmp_path: Path) -> None:
    old = (HOUR - timedelta(days=9)).isoformat()
    rows: list[dict[str, Any]] = [
        {"article_id": "7", "count": 1, "ts": AT},
        {"article_id": "7", "count": "many", "ts": AT},
        {"article_id": "7", "count": 1, "ts": old},
        {"article_id": "7", "count": 1, "ts": "soon"},
        {"article_id": "..", "count": 1, "ts": AT},
    ]

    done = imported(table(tmp_path / "export.csv", rows))

    assert "row 2: count is 'many'" in done.output
    assert "row 3: ts is more than 8 days ago" in done.output
    assert "row 4: ts is 'soon'" in done.output
    assert "row 5: article_id is '..'" in done.output
    assert counted() == {("7", "view"): 1}


@pytest.mark.parametrize(
    ("name", "text", "messages"),
    [
        ("a.csv", "article_id,views\n7,3\n", "needs a column ts, and article_id or url"),
        ("a.csv", "views,ts\n3,2026-01-01\n", "needs a column ts, and article_id or url"),
        ("a.jsonl", '{"id": "7"\n', "line 1 is not JSON"),
        ("a.jsonl", "[]\n", "one JSON array|line 1 is not a JSON object"),
        ("a.parquet", "PAR1", "is not a complete Parquet file"),
        ("a.xml", "<rss></rss>", "is not an export of views"),
    ],
)
def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path, name: str, text: str, messages: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")

    done = imported(path)

    assert done.exit_code == 1
    assert any(part in done.output for part in messages.split("|"))


@pytest.fixture
def service() -> Iterator[tuple[str, str]]:
    """A running service: its address and a file with its key."""
    key, setting = new_key("cms", ["events"])
    app = create_app(Settings.read(write_keys=setting, live_poll_seconds=0))
    with listening(app) as address:
        yield address, key


def test_the_counts_are_sent_to_a_running_service(service: tuple[str, str], tmp_path: Path) -> None:
    address, key = service
    (tmp_path / "key.txt").write_text(f"{key}\n")
    export = table(
        tmp_path / "export.csv", [{"article_id": str(n % 7), "count": 2, "ts": AT} for n in range(1200)]
    )

    done = imported(export, "--to", address, "--key-file", tmp_path / "key.txt")

    assert done.output == "1,200 rows: 1,200 counted, 0 counted before, 0 rejected\n"
    assert sum(counted().values()) == 2400


def test_an_unknown_key_is_reported(service: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "key.txt").write_text("another")
    export = table(tmp_path / "export.csv", [{"article_id": "7", "count": 2, "ts": AT}])

    done = imported(export, "--to", service[0], "--key-file", tmp_path / "key.txt")

    assert (done.exit_code, "the API key is not valid for this service" in done.output) == (1, True)


def test_a_service_without_a_key_is_a_usage_error(tmp_path: Path) -> None:
    export = table(tmp_path / "export.csv", [{"article_id": "7", "count": 2, "ts": AT}])

    assert imported(export, "--to", "http://127.0.0.1:1").exit_code == 2


def test_requests_to_a_busy_service_are_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    answers = iter([(503, 2.0, None), (429, 7.0, None), (200, 0.0, {"id": "a"})])

    assert views._send_with_retry(lambda *_: next(answers), "GET", "/v1/article?url=a")[0] == 200
    assert waits == [2.0, 7.0]
    with pytest.raises(click.ClickException, match="run this again"):
        views._send_with_retry(lambda *_: (503, 0.0, "away"), "GET", "/")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_service_that_redirects_is_reported_and_gets_no_key(tmp_path: Path, status: int) -> None:
    (tmp_path / "key.txt").write_text("key")
    export = table(tmp_path / "export.csv", [{"url": "http://x/7", "count": 2, "ts": AT}])
    other = "http://169.254.169.254/latest"
    site = Request.application(lambda _: Response(status=status, headers={"Location": other}))

    with listening(site) as address:
        done = imported(export, "--to", address, "--key-file", tmp_path / "key.txt")

    assert (done.exit_code, f"redirects to '{other}" in done.output) == (1, True)
