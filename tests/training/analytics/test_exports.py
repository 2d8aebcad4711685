"""Exports of analytics tools are read as the tools write them, or refused with the reason."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from recommender.dates import DateReader
from recommender.training.analytics.exports import ExportOptions, ViewRow, view_rows
from recommender.training.formats.files import CorpusError

NOW = datetime(2026, 11, 30, tzinfo=UTC)
DAY = datetime(2026, 11, 29, tzinfo=UTC)
SITE = "https://www.paper.example"
PLAIN = [("https://paper.example/a", 1204, DAY), ("https://paper.example/b", 900, DAY)]
GA4 = """\
# ----------------------------------------
# Pages and screens: Page path and screen class
# Property: paper.example - GA4
# ----------------------------------------
#
# All Users
# {start}: 20261129
# {end}: 20261129
"""


def rows(tmp_path: Path, content: str | bytes, name: str = "export.csv", **options: object) -> list[ViewRow]:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    settings = {"dates": DateReader(NOW), "site": SITE} | options
    return list(view_rows(path, ExportOptions(**settings)))  # type: ignore[arg-type]


def counted(found: list[ViewRow]) -> list[tuple[str, int, datetime | None]]:
    return [
        (row.article_id or row.url, row.count, row.at) for row in found if not (row.refused or row.skipped)
    ]


def notes(found: list[ViewRow]) -> list[str]:
    return [row.refused or row.skipped for row in found if row.refused or row.skipped]


COMMAS = "date,url,views\n2026-11-29,https://paper.example/a,1204\n2026-11-29,https://paper.example/b,900\n"


@pytest.mark.parametrize(
    "content",
    [
        COMMAS.encode(),
        COMMAS.replace("\n", "\r\n").encode("utf-8-sig"),
        COMMAS.replace(",", ";").encode(),
        COMMAS.replace(",", "|").replace("\n", "\r").encode(),
        ("sep=;\r\n" + COMMAS.replace(",", ";")).encode(),
        ('"sep=\t"\n' + COMMAS.replace(",", "\t")).encode("utf-16"),
        COMMAS.replace(",", "\t").encode("utf-16-le"),
        b"\xfe\xff" + COMMAS.replace(",", ";").encode("utf-16-be"),
        ("\n\n" + COMMAS + "\n\n").encode(),
        COMMAS.replace("2026-11-29", "29.11.2026").replace(",", ";").replace("1204", "1.204").encode(),
        COMMAS.replace("2026-11-29", "20261129").replace("1204", '"1,204"').encode(),
        COMMAS.replace("date,url,views", "Datum,Seitenpfad,Aufrufe").encode(),
        COMMAS.replace("date,url,views", "Date,Emplacement de la page,Vues").encode(),
        COMMAS.replace("1204", "1\u202f204").encode(),
        COMMAS.replace("date", "date,Título".encode("windows-1252").decode("latin-1"))
        .replace("29,", "29,caf\xe9,")
        .encode("latin-1"),
    ],
    ids=range(15),
)
def test_each_way_to_write_a_file_is_read_alike(tmp_path: Path, content: bytes) -> None:
    assert counted(rows(tmp_path, content)) == PLAIN


@pytest.mark.parametrize(
    "words", [("Start date", "End date"), ("Startdatum", "Enddatum"), ("Début ", "Fin ")]
)
def test_the_day_of_a_report_is_in_its_comments(tmp_path: Path, words: tuple[str, str]) -> None:
    table = """\
Page path and screen class,Views,Active users,Views per active user
/a,1204,1001,1.20
/b,900,800,1.12
(other),12,10,1.2
Grand total,2116,1811,
,2116,1811,Total
# the end
"""
    report = GA4.format(start=words[0], end=words[1]) + table

    found = rows(tmp_path, report, site="paper.example")

    assert counted(found) == PLAIN
    assert notes(found) == ["'(other)' is not a page", "a line of totals", "a line of totals"]


def test_the_days_of_an_exploration_are_in_one_comment(tmp_path: Path) -> None:
    exploration = "# ---\n# Pages\n# {}\n# ---\n\nPage path,Views\n,7,Grand total\n/a,7\n"

    found = rows(tmp_path, exploration.format("20261129-20261129"))

    assert counted(found) == [(f"{SITE}/a", 7, DAY)]
    with pytest.raises(CorpusError, match="one count per page for 2026-11-28 to 2026-11-29"):
        rows(tmp_path, exploration.format("20261128-20261129"))


def test_of_several_tables_the_one_with_the_counts_of_pages_is_read(tmp_path: Path) -> None:
    table = "Page path,Views\n/a,1204\n# a remark\n/b,900\n"
    chart = "Nth day,Page path,Views\n0000,/a,1204\n"
    comments = GA4.format(start="Start date", end="End date")

    found = rows(tmp_path, comments + chart + "#\n" + table + "# ---\nCountry,Users\nGermany,7\n")

    expected = [(url.replace("//paper", "//www.paper"), count, at) for url, count, at in PLAIN]
    assert counted(found) == expected
    assert [note.partition(", with")[2] for note in notes(found)] == [
        " the columns Nth day, Page path, Views",
        " the columns Country, Users",
    ]


def test_a_chart_of_some_pages_after_the_table_is_not_read(tmp_path: Path) -> None:
    comments = GA4.format(start="Start date", end="End date")

    found = rows(tmp_path, f"{comments}Page path,Views\n/a,9\n#\nNth day,Page path,Views\n0000,/a,7\n")

    assert [count for _, count, _ in counted(found)] == [9]


def test_days_since_the_start_of_the_report_are_counted(tmp_path: Path) -> None:
    comments = GA4.format(start="Start date", end="End date").replace("20261129", "20261128", 1)

    found = rows(tmp_path, f"{comments}Nth day,Page location,Views\n0001,https://paper.example/a,7\n")

    assert counted(found) == [("https://paper.example/a", 7, DAY)]


@pytest.mark.parametrize(
    ("header", "values", "hour"),
    [
        ("dateHour,pagePath,screenPageViews", "2026112915,/a,7", 15),
        ("Date,Hour,Page path,Views", "20261129,15,/a,7", 15),
        ("dateHourMinute,hostname,page path,views", "202611291500,www.paper.example,/a,7", 15),
        ("timestamp,path,hits", "1795964400,/a,7", 15),
        ("timestamp,path,hits", "1795964400000,/a,7", 15),
        ("timestamp,path,hits", "1795964400000000,/a,7", 15),
        ("timestamp,path,hits", "1795964400000000000,/a,7", 15),
        ("time,requestPath,count", "2026-11-29T15:00:00Z,/a,7", 15),
        ("date,name,visitors,pageviews", "2026-11-29,/a,5,7", 0),
        ("date,label,nb_visits,nb_hits", "2026-11-29,/a,5,7", 0),
        ("date,hostname,page,visitors,pageviews", "2026-11-29,www.paper.example,/a,5,7", 0),
    ],
)
def test_the_columns_of_other_tools_are_found(tmp_path: Path, header: str, values: str, hour: int) -> None:
    found = rows(tmp_path, f"{header}\n{values}\n")

    assert counted(found) == [(f"{SITE}/a", 7, DAY.replace(hour=hour))]


def test_an_hour_is_of_the_time_zone(tmp_path: Path) -> None:
    dates = DateReader(NOW, ZoneInfo("Europe/Berlin"))

    found = rows(tmp_path, "date,hour,page,views\n2026-11-29,15,/a,7\n", dates=dates)

    assert counted(found) == [(f"{SITE}/a", 7, DAY.replace(hour=14))]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_other_formats_are_read_alike(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame({"id": [7, 8], "views": [3.0, float("nan")], "date": [date(2026, 11, 29)] * 2})
    path = tmp_path / f"export.{suffix}"
    if suffix == "parquet":
        frame.to_parquet(path)
    else:
        lines = [{"id": 7, "views": 3, "date": "2026-11-29"}, {"id": 8, "views": None, "date": "2026-11-29"}]
        path.write_text("\n".join(map(json.dumps, lines)))

    found = list(view_rows(path, ExportOptions(DateReader(NOW))))

    assert counted(found) == [("7", 3, DAY)]
    assert notes(found) == ["it has no count"]


def test_all_lines_of_json_decide_which_columns_there_are(tmp_path: Path) -> None:
    lines = '{"id": 7, "date": "2026-11-29"}\n\n{"id": 8, "date": "2026-11-29", "views": 3}\n'

    found = rows(tmp_path, lines, "export.jsonl")

    assert (counted(found), notes(found)) == ([("8", 3, DAY)], ["it has no count"])
    with pytest.raises(CorpusError, match="its columns are views, date"):
        rows(tmp_path, '{"views": 3, "date": "2026-11-29"}', "export.jsonl")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2026-11-29,https://paper.example/a,", "it has no count"),
        ("2026-11-29,https://paper.example/a", "it has no count"),
        ("2026-11-29,https://paper.example/a,1,204", "it has 4 fields, and the header 3"),
        ("2026-11-29,https://paper.example/a,1.204", "count is '1.204'"),
        ('2026-11-29,https://paper.example/a,"1,5"', "count is '1,5'"),
        ("2026-11-29,https://paper.example/a,1.2K", "count is '1.2K'"),
        ("2026-11-29,https://paper.example/a,-3", "count is '-3'"),
        ("2026-11-29,,3", "it has no article and no url"),
        ("2026-11-29,(not set),3", "'(not set)' is not a page"),
        (",https://paper.example/a,3", "it has no time"),
        ("soon,https://paper.example/a,3", "ts is 'soon' is not a date"),
        ("01/02/2026,https://paper.example/a,3", "it may be day-first or month-first"),
        ("01/02/2026 10:00:00.5,https://paper.example/a,3", "it may be day-first or month-first"),
    ],
)
def test_a_row_that_may_mean_something_else_is_refused(tmp_path: Path, line: str, reason: str) -> None:
    found = rows(tmp_path, f"date,url,views\n{line}\n2026-11-29,https://paper.example/b,900\n")

    assert counted(found) == [PLAIN[1]]
    assert reason in notes(found)[0]


def test_a_path_needs_the_address_of_the_site(tmp_path: Path) -> None:
    content = "date,page,views\n2026-11-29,/a.html,3\n2026-11-29,paper.example/b,4\n2026-11-29,//2026/c,5\n"

    assert notes(rows(tmp_path, content, site="")) == [
        "'/a.html' has no host; give the address of the site with --site",
        "'//2026/c' has no host; give the address of the site with --site",
    ]
    assert [url for url, *_ in counted(rows(tmp_path, content))] == [
        f"{SITE}/a.html",
        "https://paper.example/b",
        f"{SITE}/2026/c",
    ]


def test_the_day_of_a_file_without_dates_is_an_option(tmp_path: Path) -> None:
    day = date(2026, 11, 29)

    assert counted(rows(tmp_path, "name,pageviews\n/a,7\n", day=day)) == [(f"{SITE}/a", 7, DAY)]
    by_hour = rows(tmp_path, "page,hour,views\n/a,15,7\n", day=day)
    assert counted(by_hour) == [(f"{SITE}/a", 7, DAY.replace(hour=15))]
    with pytest.raises(CorpusError, match="has times of its own; leave out --date"):
        rows(tmp_path, "name,pageviews,date\n/a,7,2026-11-28\n", day=day)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("views,date\n3,2026-11-29\n", "needs a column ts, and article_id or url"),
        ("page,views\n/a,3\n", "or --date for the day of all counts"),
        (
            "# Start date: 20261122\n# End date: 20261129\nPage path,Views\n/a,3\n",
            "has one count per page for 2026-11-22 to 2026-11-29; trending needs the day of each count",
        ),
        ("PK\x03\x04", "is not an export of views; use CSV, JSON lines or Parquet"),
        ("<html>", "is not an export of views; use CSV, JSON lines or Parquet"),
        ('[{"url": "a"}]', "line 1 is not a JSON object; write one object per line"),
    ],
)
def test_a_file_without_the_needed_columns_is_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        rows(tmp_path, content)


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    assert rows(tmp_path, "") == rows(tmp_path, "date,url,views\n") == []


def test_event_names_of_tools_become_types(tmp_path: Path) -> None:
    found = rows(tmp_path, "date,url,views,event name\n2026-11-29,https://paper.example/a,3,page_view\n")

    assert [row.type for row in found] == ["view"]
