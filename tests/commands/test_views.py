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


def summary(rows: int, new: int = 0, before: int = 0, rejected: int = 0) -> str:
    """Return the last line that a successful import prints."""
    return (
        f"{rows:,} rows, {new + before:,} counts per article and time: {new:,} new or higher, "
        f"{before:,} counted before; {rejected:,} rejected\n"
    )


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

    assert done.output == summary(rows=2, new=2)
    assert counted() == {("1048", "view"): 212, ("7", "view"): 3}


def test_a_copy_of_an_export_adds_nothing(tmp_path: Path) -> None:
    rows = [{"article_id": "7", "count": 2, "ts": AT}, {"article_id": "8", "count": 3, "ts": AT}]
    imported(table(tmp_path / "export.csv", rows))

    done = imported(table(tmp_path / "export (1).csv", rows[::-1]))

    assert done.output == summary(rows=2, before=2)
    assert counted() == {("7", "view"): 2, ("8", "view"): 3}


def test_of_a_later_export_of_the_same_time_the_difference_is_added(tmp_path: Path) -> None:
    for views_of_7, views_of_8 in ((100, 60), (250, 61), (240, 61)):
        rows = [
            {"article_id": "7", "count": views_of_7, "ts": AT},
            {"article_id": "8", "count": views_of_8, "ts": AT},
        ]
        done = imported(table(tmp_path / f"{views_of_7}.csv", rows))

    assert done.output == summary(rows=2, before=2)
    assert counted() == {("7", "view"): 250, ("8", "view"): 61}


def test_rows_about_the_same_article_and_minute_add_up(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"article_id": "7", "count": 2, "ts": AT}] * 3
    imported(table(tmp_path / "export.csv", rows[:2]))

    imported(table(tmp_path / "export.csv", rows))

    assert counted() == {("7", "view"): 6}


def test_counts_of_different_sources_and_times_add_up(tmp_path: Path) -> None:
    export = table(tmp_path / "export.csv", [{"article_id": "7", "count": 2, "ts": AT}])
    later = (HOUR + timedelta(minutes=1)).isoformat()

    imported(export, "--source", "site")
    imported(export, "--source", "app")
    imported(
        table(tmp_path / "export.csv", [{"article_id": "7", "count": 5, "ts": later}]), "--source", "app"
    )

    assert counted() == {("7", "view"): 9}


def test_an_import_that_was_killed_halfway_is_continued_by_a_repetition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"article_id": str(number), "count": 2, "ts": AT} for number in range(1200)]
    sent = 0

    def killed(batch: Any, send: Any, totals: Any) -> None:
        nonlocal sent
        if sent:
            raise SystemExit(137)
        sent += len(batch)
        send_events(batch, send, totals)

    send_events = views._send_events
    with monkeypatch.context() as broken:
        broken.setattr(views, "_send_events", killed)
        imported(table(tmp_path / "export.csv", rows))
    assert sum(counted().values()) == 1000

    done = imported(table(tmp_path / "grown.csv", [row | {"count": 3} for row in rows]))

    assert done.output == summary(rows=1200, new=1200)
    assert sum(counted().values()) == 3600


def test_if_no_row_can_be_counted_three_examples_are_shown(tmp_path: Path) -> None:
    rows = [{"page": f"/story-{number}", "views": 3, "date": AT} for number in range(9)]

    done = imported(table(tmp_path / "export.csv", rows), "--site", "courier.example")

    assert done.exit_code == 1
    assert done.output.splitlines() == [
        *(f"row {n}: no article has the url 'https://courier.example/story-{n - 1}'" for n in (1, 2, 3)),
        "and 6 more",
        "Error: none of the 9 rows can be counted",
    ]


def test_variants_of_a_page_are_added_to_its_article(tmp_path: Path) -> None:
    page = "/politics/tractors-and-school-bags-block-eastfens-high-causeway/"
    pages = [page, f"{page}amp/", f"{page}?fbclid=1", f"//m.courier.example{page}", f"{page}index.html"]
    rows = [{"Page path": name, "Views": 3, "Date": AT} for name in pages]

    done = imported(table(tmp_path / "export.csv", rows), "--site", "https://www.courier.example")

    assert done.output == summary(rows=5, new=1)
    assert counted() == {("1022", "view"): 15}


def test_a_count_of_zero_is_not_an_error(tmp_path: Path) -> None:
    done = imported(table(tmp_path / "export.csv", [{"article_id": "7", "count": 0, "ts": AT}]))

    assert (done.exit_code, done.output) == (0, summary(rows=1))


def test_counts_of_the_future_are_reported(tmp_path: Path) -> None:
    later = (datetime.now(UTC) + timedelta(hours=3)).isoformat()

    done = imported(table(tmp_path / "export.csv", [{"article_id": "7", "count": 1, "ts": later}]))

    assert "counts in the future, counted as now: 1; check --timezone" in done.output


@pytest.mark.parametrize("site", ["https://", "http:///path", "://"])
def test_the_address_of_the_site_is_checked(tmp_path: Path, site: str) -> None:
    export = table(tmp_path / "export.csv", [{"page": "/a", "count": 1, "ts": AT}])

    done = imported(export, "--site", site)

    assert (done.exit_code, "is not the address of a site" in done.output) == (2, True)


def test_an_article_is_found_by_its_url(tmp_path: Path) -> None:
    url = (
        "http://courier.example/politics/tractors-and-school-bags-block-eastfens-high-causeway/?utm_source=x"
    )
    rows = [{"url": url, "count": 4, "ts": AT}, {"url": "https://courier.example/", "count": 9, "ts": AT}]

    done = imported(table(tmp_path / "export.csv", rows))

    assert counted() == {("1022", "view"): 4}
    assert "row 2: no article has the url 'https://courier.example/'" in done.output
    assert done.output.endswith(summary(rows=2, new=1, rejected=1))


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
        tmp_path / "export.csv", [{"article_id": str(n), "count": 2, "ts": AT} for n in range(1200)]
    )

    done = imported(export, "--to", address, "--key-file", tmp_path / "key.txt")

    assert done.output == summary(rows=1200, new=1200)
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
