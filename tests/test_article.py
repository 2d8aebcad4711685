"""The checks of an article: ids byte for byte, dates in all ISO forms, and canonical URLs."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recommender.article import (
    Article,
    InvalidArticleError,
    canonical_url,
    check_id,
    is_plain_url,
    moment,
    unique,
)

NOW = datetime(2025, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "article_id",
    [
        "a/related", "a,b", "https://x/y//z", "/abs", "%2F", "日本 🗞", "...", " ", "a\nb", "é", "e\u0301",
        "x" * 512, "é" * 256, "🗞" * 128,
    ],
)  # fmt: skip
def test_an_unusual_id_is_unchanged_byte_for_byte(article_id: str) -> None:
    assert check_id(article_id).encode() == article_id.encode()
    assert Article(id=article_id, title="A title").id == article_id


@pytest.mark.parametrize(
    ("article_id", "reason"),
    [
        ("", "0 bytes"),
        (".", "relative path segment"),
        ("..", "relative path segment"),
        ("x" * 513, "513 bytes"),
        ("é" * 257, "514 bytes"),
        ("a\0b", "NUL"),
        ("a\ud800", "lone surrogate"),
    ],
)
def test_an_invalid_id_is_refused_with_the_reason(article_id: str, reason: str) -> None:
    with pytest.raises(InvalidArticleError, match=reason):
        Article(id=article_id, title="A title")


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=600))
@settings(deadline=None)
def test_an_id_is_valid_exactly_if_it_fits_utf8_and_urls(article_id: str) -> None:
    size = len(article_id.encode(errors="surrogatepass"))
    surrogate = any(0xD800 <= ord(char) <= 0xDFFF for char in article_id)
    is_valid = 1 <= size <= 512 and not surrogate and "\0" not in article_id and article_id not in {".", ".."}

    try:
        is_accepted = check_id(article_id) == article_id
    except InvalidArticleError:
        is_accepted = False

    assert is_accepted is is_valid


def test_the_message_about_a_long_id_is_short() -> None:
    with pytest.raises(InvalidArticleError) as refused:
        check_id("x" * 1_000_000)

    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(("title", "body"), [("", ""), (" \n", "\t"), ("\u3000", "\u2028")])
def test_an_article_needs_a_title_or_a_body(title: str, body: str) -> None:
    with pytest.raises(InvalidArticleError, match="'7' has neither a title nor a body"):
        Article(id="7", title=title, body=body)


@pytest.mark.parametrize("field", ["title", "body", "url", "category", "type", "lang", "image_url"])
def test_a_lone_surrogate_is_refused_in_every_text(field: str) -> None:
    texts = {"title": "A title", field: "https://news.example/a\ud800b"}

    with pytest.raises(InvalidArticleError, match="article '7' contains a lone surrogate"):
        Article(id="7", **texts)  # type: ignore[arg-type]  # the fields named are all texts


@pytest.mark.parametrize("field", ["categories", "tags", "authors"])
def test_a_lone_surrogate_is_refused_in_every_list(field: str) -> None:
    lists = {field: ("Politics", "La\udfffw")}

    with pytest.raises(InvalidArticleError, match="article '7' contains a lone surrogate"):
        Article(id="7", title="A title", **lists)  # type: ignore[arg-type]  # the fields named are all lists


def test_a_malformed_url_is_refused_with_the_article_id() -> None:
    with pytest.raises(InvalidArticleError, match=r"article '7': 'http://\[' is not a URL"):
        Article(id="7", title="A title", url="http://[")


def test_a_title_or_a_body_alone_is_enough() -> None:
    assert Article(id="1", title="A title").body == ""
    assert Article(id="1", body="A body").title == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024", "2024-01-01"),
        ("2024-05", "2024-05-01"),
        ("2024-05-06", "2024-05-06"),
        ("20240506", "2024-05-06"),
        ("2024-135", "2024-05-14"),
        ("2024135", "2024-05-14"),
        ("2024-366", "2024-12-31"),
        ("2024-W20", "2024-05-13"),
        ("2024W20", "2024-05-13"),
        ("2024-W20-3", "2024-05-15"),
        ("2024W203", "2024-05-15"),
        ("2020-W53-7", "2021-01-03"),
        ("2024-05-06T07", "2024-05-06T07:00"),
        ("2024-05-06T07:08", "2024-05-06T07:08"),
        ("2024-05-06 07:08:09", "2024-05-06T07:08:09"),
        ("20240506T070809", "2024-05-06T07:08:09"),
        ("2024135T0708", "2024-05-14T07:08"),
        ("2024-135T07:08:09Z", "2024-05-14T07:08:09"),
        ("2024-W20-3T07:08", "2024-05-15T07:08"),
        ("2024-05-06T07:08:09Z", "2024-05-06T07:08:09"),
        ("2024-05-06T07:08:09-00:00", "2024-05-06T07:08:09"),
        ("2024-05-06T07:08:09+02", "2024-05-06T05:08:09"),
        ("2024-05-06T07:08:09+0200", "2024-05-06T05:08:09"),
        ("2024-05-06T01:30:00+05:30", "2024-05-05T20:00"),
        ("20240506T230809-0400", "2024-05-07T03:08:09"),
        ("2024-05-06T07:08:09.5Z", "2024-05-06T07:08:09.500000"),
        ("2024-05-06T07:08:09,123456Z", "2024-05-06T07:08:09.123456"),
        ("2024-05-06T07:08:09.1234567891Z", "2024-05-06T07:08:09.123456"),
        (" 2024-05-06\n", "2024-05-06"),
        ("1700-01-01", "1700-01-01"),
        ("2030-05-30", "2030-05-30"),
    ],
)
def test_every_iso_form_is_read_as_a_utc_moment(text: str, expected: str) -> None:
    read = moment(text, now=NOW)

    assert read == datetime.fromisoformat(expected).replace(tzinfo=UTC)
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-07-01 12:00", "2024-07-01T10:00"),  # summer
        ("2024-01-01 12:00", "2024-01-01T11:00"),  # winter
        ("2024-03-31T02:30", "2024-03-31T01:30"),  # an hour skipped by daylight saving time
        ("2024-10-27T02:30", "2024-10-27T00:30"),  # an hour repeated by daylight saving time
        ("2024-07", "2024-06-30T22:00"),
        ("2024-183", "2024-06-30T22:00"),
        ("2024-07-01T12:00Z", "2024-07-01T12:00"),
        ("2024-07-01T12:00-04:00", "2024-07-01T16:00"),
    ],
)
def test_the_timezone_applies_to_naive_dates_only(text: str, expected: str) -> None:
    read = moment(text, now=NOW, timezone=ZoneInfo("Europe/Paris"))

    assert read == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01", "0001-01-01T00:00+05:00", "1699-12-31T23:59:59", "1700-01-01T00:00+01:00",
        "2031-01-01", "2124-06-01", "9999-12-31T23:59-05:00", "9999-365", "9999",
    ],
)  # fmt: skip
def test_an_implausible_date_is_refused_with_its_value(text: str) -> None:
    with pytest.raises(InvalidArticleError) as refused:
        moment(text, now=NOW)

    assert str(refused.value).startswith(repr(text))


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "yesterday", "06/05/2024", "6 May 2024", "2024-13", "2024-00", "2024-02-30", "2023-366",
        "2024-000", "2024-367", "0000", "0000-001", "2024-W54", "2024-W20-8", "2024-05-06T25:00",
        "2024-05-06T07:60", "2024-05-06T07:08+24:00", "2024-05T07:08", "1714979289", "1714979289000",
        "24-05-06", "-0044-03-15", "2024-05-06\0", "\ud800", "\u0662\u0660\u0662\u0664", "🗞", "NaN", "None",
    ],
)  # fmt: skip
def test_text_that_is_not_a_date_is_refused_with_its_value(text: str) -> None:
    with pytest.raises(InvalidArticleError, match="is not an ISO 8601 date or time") as refused:
        moment(text, now=NOW)

    assert str(refused.value).startswith(repr(text))


@pytest.mark.parametrize("unit", ["1", "2024-135T", "9", "\u0662", "é"])
def test_the_message_about_a_huge_string_is_one_short_line(unit: str) -> None:
    with pytest.raises(InvalidArticleError) as refused:
        moment(unit * 200_000, now=NOW)

    assert len(str(refused.value)) < 250


@given(st.one_of(st.text(max_size=40), st.text(alphabet="0123456789-:TWZ+., ", max_size=30)))
@settings(deadline=None)
def test_any_text_is_a_plausible_moment_or_refused(text: str) -> None:
    try:
        read = moment(text, now=NOW)
    except InvalidArticleError:
        return

    assert datetime(1700, 1, 1, tzinfo=UTC) <= read <= NOW + timedelta(days=5 * 366)


@given(
    st.datetimes(datetime(1701, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 the zone is drawn beside it
    st.timezones(),
)
@settings(deadline=None)
def test_a_moment_round_trips_in_any_zone(naive: datetime, zone: ZoneInfo) -> None:
    utc = naive.replace(tzinfo=UTC)

    assert moment(utc.astimezone(zone).isoformat(), now=NOW) == utc


@given(st.dates(date(1700, 1, 1), date(2030, 1, 1)))
@settings(deadline=None)
def test_ordinal_and_week_dates_agree_with_the_calendar(day: date) -> None:
    calendar = moment(f"{day:%Y-%m-%d}", now=NOW)
    year, week, weekday = day.isocalendar()

    assert moment(f"{day:%Y-%j}", now=NOW) == calendar
    assert moment(f"{day:%Y%j}", now=NOW) == calendar
    assert moment(f"{year:04}-W{week:02}-{weekday}", now=NOW) == calendar


def test_unique_strips_names_and_drops_blanks_and_duplicates_in_order() -> None:
    assert unique([" Politics", "", "Law ", "Politics", " \n", "law"]) == ("Politics", "Law", "law")


@pytest.mark.parametrize(
    "url",
    [
        "https://news.example/a/B",
        "http://news.example/a/B",
        "//news.example/a/B",
        "news.example/a/B",
        "HTTPS://WWW.News.Example/a/B",
        "https://news.example:443/a/B",
        "http://news.example:80/a/B",
        "https://news.example/a/B/",
        "https://news.example/a/B//",
        "https://news.example/a/B#comments",
        "https://news.example/a/B/?utm_source=rss&utm_medium=feed#top",
        "https://news.example/a/B?utm_source",
        " https://news.example/a/B\n",
    ],
)
def test_spellings_of_one_address_have_one_canonical_form(url: str) -> None:
    assert canonical_url(url) == "news.example/a/B"


@pytest.mark.parametrize(
    "path",
    ["港の 予算", "%E6%B8%AF%E3%81%AE%20%E4%BA%88%E7%AE%97", "%e6%b8%af%e3%81%ae%20%e4%ba%88%e7%ae%97"],
)
def test_a_path_is_the_same_with_and_without_escapes(path: str) -> None:
    assert canonical_url(f"https://news.example/{path}/") == canonical_url("https://news.example/港の 予算")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("https://news.example/a", "https://news.example/A"),
        ("https://news.example/a%2Fb", "https://news.example/a/b"),
        ("https://news.example/a%25b", "https://news.example/a%b"),
        ("https://news.example/?p=1", "https://news.example/?p=2"),
        ("https://news.example/?p=1", "https://news.example/"),
        ("https://news.example/a/b", "https://news.example/a//b"),
        ("https://news.example:8080/a", "https://news.example/a"),
        ("https://www2.news.example/a", "https://news.example/a"),
        ("https://news.example/?a=1&b=2", "https://news.example/?b=2&a=1"),
        ("https://news.example/?a=%26b", "https://news.example/?a=&b"),
    ],
)
def test_addresses_that_differ_stay_apart(left: str, right: str) -> None:
    assert canonical_url(left) != canonical_url(right)


_PATHS = st.text(alphabet="abcXYZ019-._~%/é日", max_size=20)
_NAMES = st.text(alphabet="abcz019-_é日&=+%", max_size=6)
_QUERIES = st.lists(st.tuples(_NAMES, _NAMES), max_size=4).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)
)
_URLS = st.builds(
    "{}{}/{}?{}".format,
    st.sampled_from(["https://", "http://", "//", "HTTPS://www."]),
    st.sampled_from(["news.example", "NEWS.example:8080", "user@news.example", "[::1]:8000", "日本.example"]),
    _PATHS,
    _QUERIES,
)


@given(_URLS)
@example("http://[::1]/")
@settings(deadline=None)
def test_a_canonical_url_is_its_own_canonical_form(url: str) -> None:
    canonical = canonical_url(url)

    assert canonical_url(f"https://{canonical}") == canonical


@given(st.from_regex(r"https?://(www\.)*[A-Za-z.-]+(/[A-Z%a#?;:@ \t.'~é]*)*", fullmatch=True))
@example("https://News.example/a//b//")
@example("http://[::1]/a")
@settings(deadline=None)
def test_a_plain_url_has_the_canonical_form_that_parsing_finds(url: str) -> None:
    if is_plain_url(url):
        assert canonical_url(url) == canonical_url(f"{url}#parsed-because-of-this-fragment")


@given(
    _URLS, st.sampled_from(["utm_source=x", "utm_campaign=", "utm_"]), st.text(alphabet="ab/?#&=", max_size=8)
)
@settings(deadline=None)
def test_campaign_parameters_and_fragments_are_dropped(url: str, campaign: str, fragment: str) -> None:
    assert canonical_url(f"{url}&{campaign}#{fragment}") == canonical_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://[",
        "http://]/",
        "http://\ufb03\u2100.example/",
        "http://news.example/?\ud800=1",
        "http://news.example/\ud800",
    ],
)
def test_a_malformed_url_has_no_canonical_form(url: str) -> None:
    with pytest.raises(InvalidArticleError, match="is not a URL"):
        canonical_url(url)


def at(hour: int | None) -> datetime | None:
    return None if hour is None else datetime(2026, 3, 1, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("title", "hour", "known_hour", "newer"),
    [
        ("As corrected", 2, 1, True),
        ("As corrected", 1, 1, False),
        ("As corrected", 1, 2, False),
        ("As written", 2, 1, True),
        ("As corrected", 1, None, True),
        ("As written", 1, None, False),
    ],
)
def test_a_version_is_newer_by_its_date_or_without_dates_by_its_content(
    title: str, hour: int, known_hour: int | None, newer: object
) -> None:
    state = Article(id="1", title=title, updated_at=at(hour))
    known = Article(id="1", title="As written", updated_at=at(known_hour))

    assert state.is_newer(known) is newer
