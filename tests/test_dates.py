"""Dates are read as the moment they mean, or refused; never as another moment."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.article import InvalidArticleError, moment
from recommender.dates import DateReader, DayOrder, OrderProof, check_format
from recommender.training.readers.corpus import Corpus, CorpusError, read_articles
from recommender.training.readers.lint import lint
from tests.support.corpora import jsonl

NOW = datetime(2026, 11, 29, tzinfo=UTC)
READER = DateReader(NOW)
BERLIN = DateReader(NOW, ZoneInfo("Europe/Berlin"))
MOMENT = datetime(2026, 9, 6, 14, 18, tzinfo=UTC)
MILLISECONDS = 1_788_704_280_000


def test_the_examples_below_are_one_moment() -> None:
    assert datetime.fromtimestamp(MILLISECONDS / 1000, UTC) == MOMENT


@pytest.mark.parametrize(
    "value",
    [
        "2026-09-06T14:18:00Z", "2026-09-06T14:18Z", "20260906T141800Z", "2026-09-06t14:18:00z",
        "2026-09-06 16:18:00+02", "2026-09-06 16:18:00.000000+02:00", "2026-09-06T14:18:00,000Z",
        "2026-249T14:18Z", "2026-W36-7T14:18Z", "2026W367T1418Z", "2026-09-06 14:18:00 UTC",
        "2026-09-06T16:18:00+02:00[Europe/Berlin]", "2026-09-06T16:18[Europe/Berlin]",
        "2026-09-06 16:18:00 +0200", "2026-09-06 16:18:00 +0200 CEST", "2026-09-06 16:18:00 CEST",
        "2026/09/06 14:18", "2026/9/6 14:18:00", "2026.09.06 14:18", "2026-9-6 14:18", "2026/09/06 2:18 PM",
        MILLISECONDS, MILLISECONDS // 1000, float(MILLISECONDS), str(MILLISECONDS),
        f"{MILLISECONDS // 1000}", f"{MILLISECONDS // 1000}.0", "20260906141800",
        f"/Date({MILLISECONDS})/", f"/Date({MILLISECONDS}+0200)/", f"\\/Date({MILLISECONDS})\\/",
        {"$date": "2026-09-06T14:18:00Z"}, {"$date": MILLISECONDS},
        {"$date": {"$numberLong": str(MILLISECONDS)}}, {"value": "2026-09-06T14:18:00"},
        "Sun, 06 Sep 2026 16:18:00 +0200", "Sun, 6 Sep 2026 14:18 GMT", "6 Sep 26 14:18 UT",
        "Sun, 06 Sep 2026 23:18:00 JST", "Sun, 06 Sep 2026 23:18:00 KST", "Mon, 07 Sep 2026 00:18:00 AEST",
        "Mon, 07 Sep 2026 01:18:00 AEDT", "Mon, 07 Sep 2026 02:18:00 NZST", "Mon, 07 Sep 2026 03:18 NZDT",
        "Sun, 06 Sep 2026 22:18:00 HKT", "Sun, 06 Sep 2026 22:18:00 SGT", "Sun, 06 Sep 2026 17:18:00 MSK",
        "Sun, 06 Sep 2026 15:18:00 CET", "Sun, 06 Sep 2026 16:18:00 CEST", "Sun, 06 Sep 2026 16:18:00 EET",
        "Sun, 06 Sep 2026 17:18:00 EEST", "Sun, 06 Sep 2026 15:18:00 BST", "Sun, 06 Sep 2026 10:18:00 EDT",
        "Sun, 06 Sep 2026 07:18:00 PDT", "Sun Sep 06 2026 16:18:00 GMT+0200 (Central European Summer Time)",
        "Sun Sep  6 14:18:00 2026", "Sun Sep 6 16:18:00 CEST 2026", "Sun Sep 06 16:18:00 +0200 2026",
        "Sun, Sep 06 2026 02:18:00 PM", "September 6, 2026 at 2:18 p.m.", "06-Sep-2026 14:18",
        "So, 6. September 2026 um 14:18 Uhr", "So., 06 Sept. 2026 14:18:00 +0000",
        "dim. 6 sept. 2026 14h18", "dimanche 6 septembre 2026 à 14:18", "dom, 06 set 2026 14:18:00 +0000",
        "dom., 6 sep. 2026 14:18", "domingo, 6 de septiembre de 2026 14:18", "zo, 06 sep. 2026 14:18 GMT",
        "su, 06 syys 2026 14:18:00 +0000", "sunnuntai 6. syyskuuta 2026 klo 14:18",
        "sön, 06 sep 2026 14:18:00 GMT", "niedz., 6 wrz 2026 14:18 GMT", "6 września 2026, 14:18",
        "niedziela, 6 września 2026 14:18", "søndag 6. september 2026 kl. 14:18",
        "Sunday, 06-Sep-26 14:18:00 GMT", "06 SEP 2026 14:18 GMT", "2026-09-06T14:18:00.000+0000",
        "ne, 06 zář 2026 14:18:00 GMT", "6. září 2026 14:18",
    ],
)  # fmt: skip
def test_what_tools_write_is_read_as_the_moment_it_means(value: object) -> None:
    assert READER.read(value) == MOMENT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-09-06T24:00Z", "2026-09-07T00:00"),
        ("2026-06-30T23:59:60Z", "2026-07-01T00:00"),
        ("2026-09-06+02:00", "2026-09-05T22:00"),
        ("2026-09-06-05:00", "2026-09-06T05:00"),
        ("Sun, 6 Sep 2026 12:30 AM", "2026-09-06T00:30"),
        ("Sun, 6 Sep 2026 12:30 PM", "2026-09-06T12:30"),
        ("mar, 03 mar 2026 10:00:00 +0100", "2026-03-03T09:00"),
        ("01 Feb 98 10:00 GMT", "1998-02-01T10:00"),
        ("-1788704280", "1913-04-27T09:42"),
        ("20260906", "2026-09-06"),
        (20260906, "2026-09-06"),
        ("2026", "2026-01-01"),
        ("poniedziałek, 7 września 2026", "2026-09-07"),
        ("segunda-feira, 7 de setembro de 2026", "2026-09-07"),
        ("pondělí 7. září 2026", "2026-09-07"),
        ("ven. 4 déc. 2026 10h05", "2026-12-04T10:05"),
    ],
)
def test_the_corners_of_the_clock_and_the_calendar(text: str, expected: str) -> None:
    assert READER.read(text) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "06/09/2026", "06.09.2026 16:18", "9/6/2026 4:18 PM", "24.12.2026", "06-09-2026",
        "yesterday", "0000-00-00 00:00:00", "2026-02-30", "0", 0, 1, 2026, 46271.679166, "46271.679166",
        "202609061618", 202609061618, "1788704280000000", 17887042800, "1.78870428e9", float("inf"),
        "Sun, 06 Sep 2026 16:18:00 IST", "Sun, 06 Sep 2026 16:18:00 XYZ", "2026-09-06 16:18 IST",
        "Sun, 06 Sep 2026 16:18 PM", "2026-09-06T16.5", "2026-09-06T16:18:00 (CEST)", "2026-09T07:08",
        "6 Sep 26", "Sep 06 26 10:00", "oct nov 6 2026", "Sun, 06 Foo 2026 10:00", "16:18", "6 Sep 2026 2027",
        "2026-09-06T25:00", "2026-09-06T16:60", "2026-09-06T16:18:60Z", "2026-09-06 16:18 +99:00", "",
        "2026-09-06[Europe/Nowhere]", "2026-09-06T16:18[../../etc/passwd]", "2026-13-09",
        "１７８８７０４２８０",
        {"$date": None}, {"$date": True}, {"date": "2026-09-06"}, {}, [], ["2026", "2027"], True, None,
        b"2026", "2026-09-06 " * 50, "tomorrow 6 Sep 2026 10:00",
        "6 Sep 2026 10:00 11:00", "6 lis 2026 10:00 CET EET",
    ],
)  # fmt: skip
def test_what_may_mean_several_moments_is_refused(value: object) -> None:
    with pytest.raises(InvalidArticleError):
        READER.read(value)


def test_the_refusal_names_the_value_and_the_cure() -> None:
    with pytest.raises(InvalidArticleError, match=r"'9 Sep 2026 8:00 IST'.*--timezone"):
        READER.read("9 Sep 2026 8:00 IST")
    with pytest.raises(InvalidArticleError, match=r"'06/09/2026'.*--date-format day-first"):
        READER.read("06/09/2026")


def test_a_date_without_a_zone_follows_the_timezone() -> None:
    for text in ("2026-09-06 16:18", "Sun, 06 Sep 2026 16:18:00", "2026/09/06 16:18", "20260906161800"):
        assert BERLIN.read(text) == MOMENT
    assert BERLIN.read(date(2026, 9, 6)) == datetime(2026, 9, 5, 22, tzinfo=UTC)
    assert BERLIN.read(datetime(2026, 9, 6, 16, 18)) == MOMENT  # noqa: DTZ001 naive on purpose


@pytest.mark.parametrize(
    ("zone", "utc_hour"), [("Asia/Kolkata", "08:48"), ("Europe/Dublin", "13:18"), ("Asia/Shanghai", None)]
)
def test_the_timezone_settles_its_own_abbreviation(zone: str, utc_hour: str | None) -> None:
    reader = DateReader(NOW, ZoneInfo(zone))
    if utc_hour is None:
        assert reader.read("6 Sep 2026 22:18 CST") == MOMENT
        return
    assert f"{reader.read('Sun, 06 Sep 2026 14:18:00 IST'):%H:%M}" == utc_hour


def test_the_order_of_day_and_month_comes_from_the_column_or_the_user() -> None:
    expected = datetime(2026, 9, 6, tzinfo=UTC)

    assert READER.read("06/09/2026", lambda: DayOrder.DAY_FIRST) == expected
    assert READER.read("09/06/2026", lambda: DayOrder.MONTH_FIRST) == expected
    assert DateReader(NOW, formats=("day-first",)).read("06.09.2026") == expected
    assert DateReader(NOW, formats=("month-first",)).read("9/6/2026") == expected
    assert DateReader(NOW, formats=("%d|%m|%Y",)).read("06|09|2026") == expected
    with pytest.raises(InvalidArticleError):
        READER.read("13/14/2026", lambda: DayOrder.DAY_FIRST)


def test_a_column_proves_an_order_unless_it_contradicts_itself() -> None:
    for texts, order in {
        ("06.09.2026", "24.12.2026 06:00"): DayOrder.DAY_FIRST,
        ("9/6/2026", "12/24/2026"): DayOrder.MONTH_FIRST,
        ("06.09.2026", "07.09.2026"): None,
        ("24.12.2026", "12.24.2026"): None,
        ("2026-09-24", "2026-09-25"): None,
    }.items():
        proof = OrderProof()
        for text in texts:
            proof.add(text)
        assert proof.order() is order


@pytest.mark.parametrize("form", ["%d.%m", "%Y", "%H:%M", "tomorrow", "%m/%Y", ""])
def test_a_format_that_leaves_the_date_open_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match="is not day-first, month-first or a format"):
        check_format(form)


@pytest.mark.parametrize(
    ("lang", "is_read"), [("pl", True), ("cs", True), ("", True), ("hr", False), ("sr-Latn", False)]
)
def test_a_month_that_has_another_meaning_in_the_language_is_refused(lang: str, is_read: bool) -> None:  # noqa: FBT001
    try:
        assert READER.read("6. lis 2026 10:00", lang=lang).month == 11
    except InvalidArticleError:
        assert not is_read
    else:
        assert is_read


@given(st.one_of(st.text(max_size=40), st.text(alphabet="0123456789-:TWZ+., /apm[]", max_size=30)))
@settings(deadline=None)
def test_a_text_that_is_iso_and_read_by_both_is_one_moment(text: str) -> None:
    try:
        read = READER.read(text)
    except InvalidArticleError:
        return

    assert datetime(1700, 1, 1, tzinfo=UTC) <= read <= NOW + timedelta(days=5 * 366)
    assert READER.read(f" {text}\n") == read


@given(
    st.datetimes(datetime(1901, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 the zone is drawn beside it
    st.timezones(),
)
@settings(deadline=None)
def test_iso_8601_is_read_in_any_zone(naive: datetime, zone: ZoneInfo) -> None:
    text = naive.replace(tzinfo=UTC).astimezone(zone).isoformat()

    assert READER.read(text) == moment(text, now=NOW) == naive.replace(tzinfo=UTC)


def corpus(path: Path, *dates: Any, **options: Any) -> Corpus:
    rows = ({"id": str(n), "title": f"Title {n}", "published_at": at} for n, at in enumerate(dates, 1))
    return read_articles(jsonl(path / "a.jsonl", *rows), now=NOW, **options)


def test_the_whole_column_of_a_file_decides(tmp_path: Path) -> None:
    days = ["03.12.2025 08:00", "27.11.2026 08:00", "24.12.2026 06:00"]

    read = corpus(tmp_path, *days)

    assert [f"{article.published_at:%Y-%m-%d}" for article in read.articles] == [
        "2025-12-03", "2026-11-27", "2026-12-24",
    ]  # fmt: skip
    with pytest.raises(CorpusError, match="3 of 3 rows are refused"):
        corpus(tmp_path, "03.12.2025", "27.11.2026", "11.27.2026")
    with pytest.raises(CorpusError, match="2 of 2 rows are refused"):
        corpus(tmp_path, "03.12.2025", "04.12.2025")
    assert len(corpus(tmp_path, "03.12.2025", "04.12.2025", date_formats=["day-first"]).articles) == 2


def test_another_file_proves_nothing(tmp_path: Path) -> None:
    jsonl(tmp_path / "b.jsonl", {"id": "b", "title": "B", "published_at": "24.12.2025"})

    read = read_articles(
        jsonl(tmp_path / "a.jsonl", {"id": "a", "title": "A", "published_at": "03.12.2025"}),
        tmp_path / "b.jsonl",
        now=NOW,
        max_bad=0.5,
    )

    assert [article.id for article in read.articles] == ["b"]


def test_drafts_take_part_in_the_proof(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,title,Published,Status\n1,A,03.12.2025,publish\n2,B,24.12.2025,draft\n")

    (article,) = read_articles(path, now=NOW).articles

    assert article.published_at == datetime(2025, 12, 3, tzinfo=UTC)


def test_lint_lists_each_row_whose_date_cannot_be_read(tmp_path: Path) -> None:
    report = lint(jsonl(tmp_path / "a.jsonl", {"id": "1", "title": "A", "published_at": "soon"}), now=NOW)

    finding = next(finding for finding in report.findings if finding.kind == "published_at: impossible date")
    assert (finding.count, finding.examples[0].row) == (1, 1)
    assert json.dumps(finding.advice)
