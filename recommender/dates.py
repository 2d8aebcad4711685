"""Read the dates that publishing tools write, and refuse every text that may mean two moments.

Nothing is guessed: a text is read as a whole, or not at all. The order of `06/09/2026` comes from its column
or from the user, a missing time zone from the user, and an ambiguous abbreviation such as IST is refused.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from datetime import timezone as fixed_zone
from decimal import Decimal
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo

from recommender.article import EARLIEST, LATEST_AHEAD, InvalidArticleError
from recommender.date_names import (
    DAYS,
    FILLERS,
    LIKE_CROATIAN,
    MONTH_OF,
    OFFSET_OF_ZONE,
    OTHER_MONTHS_IN_CROATIAN,
    fold,
)

MAX_CHARS = 100  # of a date; longer texts are refused


class DayOrder(Enum):
    """The order of day and month in dates such as 06/09/2026."""

    DAY_FIRST = "day-first"
    MONTH_FIRST = "month-first"


Order = Callable[[], DayOrder | None]


@dataclass(frozen=True, slots=True)
class DateReader:
    """Reads dates, with the current time, the time zone of dates without one, and the user's formats.

    A format is one of `strptime`, such as `%d.%m.%Y %H:%M`, or `day-first` or `month-first`.
    """

    now: datetime
    timezone: tzinfo = UTC
    formats: tuple[str, ...] = ()

    def read(self, value: Any, order: Order = lambda: None, lang: str = "") -> datetime:
        """Return the moment in UTC that a value means.

        `order` returns the order of day and month that the column proves; it is called only if needed. `lang`
        is the language of the article. Raises InvalidArticleError if the value is no date, may mean several
        moments, or is before 1700 or more than five years after now.
        """
        try:
            parsed = self._read(value, order, lang)
        except InvalidArticleError as error:
            raise InvalidArticleError(f"{_shown(value)}: {error}") from None
        except (ValueError, OverflowError, ArithmeticError, KeyError, OSError):
            raise InvalidArticleError(
                f"{_shown(value)} is not a date that can be read; "
                "write 2024-05-31T08:00:00Z, or give --date-format"
            ) from None
        if not EARLIEST <= parsed <= self.now + LATEST_AHEAD:
            raise InvalidArticleError(f"{_shown(value)} is not a plausible date for an article")
        return parsed

    def _read(self, value: Any, order: Order, lang: str) -> datetime:
        if isinstance(value, str):
            if len(value) > MAX_CHARS:
                raise ValueError
            return self._read_text(" ".join(value.split()), order, lang)
        if isinstance(value, list | tuple) and len(value) == 1:
            return self._read(value[0], order, lang)
        if isinstance(value, Mapping):
            return self._read_object(value, order, lang)
        if isinstance(value, datetime):
            return self._aware(datetime.fromisoformat(value.isoformat()))  # of pandas, too
        if isinstance(value, date):
            return self._aware(datetime(value.year, value.month, value.day))  # noqa: DTZ001 zone follows
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._read_number(Decimal(str(value)))
        raise ValueError

    def _read_object(self, value: Mapping[str, Any], order: Order, lang: str) -> datetime:
        ((name, inner),) = value.items()
        if name == "value":  # Drupal
            return self._read(inner, order, lang)
        if name != "$date":  # MongoDB
            raise ValueError(name)
        if isinstance(inner, Mapping):
            inner = int(inner["$numberLong"])
        if isinstance(inner, int) and not isinstance(inner, bool):
            return _EPOCH + timedelta(milliseconds=inner)
        return self._read(inner, order, lang)

    def _read_number(self, number: Decimal) -> datetime:
        """Return the moment of epoch seconds or milliseconds, or of the digits of a date and time."""
        digits = str(int(number)) if number == int(number) else ""
        if len(digits) in {8, 14} and digits.isdecimal():
            return self._aware(_compact(digits))
        size = abs(number)
        if not _LEAST_EPOCH <= size < _MOST_MILLISECONDS:
            raise ValueError(number)
        if size < _LEAST_MILLISECONDS:
            return _EPOCH + timedelta(microseconds=int(number * 1_000_000))
        if len(digits) == len("202609061618") and _is_compact(f"{digits}00"):
            raise InvalidArticleError("it may be milliseconds or year, month, day, hour and minute")
        return _EPOCH + timedelta(microseconds=int(number * 1000))

    def _read_text(self, text: str, order: Order, lang: str) -> datetime:
        if _USUAL.fullmatch(text):  # nearly all dates; ten times as fast as the general way
            with suppress(ValueError):  # 24:00 and leap seconds
                return self._aware(datetime.fromisoformat(text))
        for form in self.formats:
            if form not in _ORDERS:
                try:
                    return self._aware(datetime.strptime(text, form))  # noqa: DTZ007 zone follows
                except ValueError:
                    continue
        if any(letter.isdigit() and not letter.isascii() for letter in text):
            raise ValueError(text)
        if wrapped := _DOTNET.fullmatch(text):
            return _EPOCH + timedelta(milliseconds=int(wrapped[1]))
        if _NUMBER.fullmatch(text) and len(text) not in {4, 7}:  # a year, an ordinal date
            return self._read_number(Decimal(text))
        if numeric := _NUMERIC.fullmatch(text):
            if _MONTH_ONLY.fullmatch(numeric["date"]) and numeric["date"] != text:
                raise ValueError(text)
            day = _day_of(numeric["date"].upper(), self._order(order))
            clock = _clock(numeric["clock"] or "", numeric["half"] or "")
            naive = datetime(day.year, day.month, day.day) + clock  # noqa: DTZ001 zone follows
            return self._at(naive, numeric["zone"] or numeric["date_zone"] or "")
        return self._at(*_in_words(text, lang))

    def _order(self, order: Order) -> Order:
        given = {form for form in self.formats if form in _ORDERS}
        return (lambda: DayOrder(given.pop())) if len(given) == 1 else order

    def _aware(self, moment: datetime) -> datetime:
        return (moment if moment.tzinfo else moment.replace(tzinfo=self.timezone)).astimezone(UTC)

    def _at(self, naive: datetime, zone: str) -> datetime:
        return naive.replace(tzinfo=self._zone(zone.strip(), naive)).astimezone(UTC)

    def _zone(self, text: str, naive: datetime) -> tzinfo:
        """Return the zone of a name, an offset, or both; the user's zone explains its own abbreviation."""
        parts = _ZONE.fullmatch(text)
        if parts is None:
            raise ValueError(text)
        name, offset, city = (parts["name"] or "").upper(), parts["offset"], parts["city"]
        is_comment_alone = parts["comment"] and not (name or offset)
        if is_comment_alone or (offset and name not in {"", "GMT", "UTC", "UT"}):
            raise ValueError(text)
        if offset:
            return fixed_zone(_offset(offset))
        if city:
            return ZoneInfo(city)
        if not name or self.timezone.tzname(naive) == name:
            return self.timezone
        if name not in OFFSET_OF_ZONE:
            raise InvalidArticleError(
                f"{name} is not one known time zone; give --timezone, or write an offset"
            )
        return fixed_zone(OFFSET_OF_ZONE[name])


def check_format(form: str) -> str:
    """Return a value of `--date-format` unchanged. Raises ValueError if it leaves a part of the date open."""
    has_day = "%j" in form or ("%d" in form and any(month in form for month in ("%m", "%b", "%B")))
    if form in _ORDERS or (has_day and ("%Y" in form or "%y" in form)):
        return form
    raise ValueError(f"{form!r} is not day-first, month-first or a format such as %d.%m.%Y %H:%M")


class OrderProof:
    """Collects the dates of a column, and says in which order they write day and month."""

    def __init__(self) -> None:
        self._proofs: set[DayOrder] = set()

    def add(self, value: Any) -> None:
        """Note a date; only those such as 24.12.2026 prove an order."""
        numeric = _NUMERIC.fullmatch(" ".join(value.split())) if isinstance(value, str) else None
        parts = _UNORDERED.fullmatch(numeric["date"]) if numeric else None
        if parts and int(parts[1]) > _MONTHS:
            self._proofs.add(DayOrder.DAY_FIRST)
        if parts and int(parts[3]) > _MONTHS:
            self._proofs.add(DayOrder.MONTH_FIRST)

    def order(self) -> DayOrder | None:
        """Return the order, None if no date proves one or if two dates contradict each other."""
        return next(iter(self._proofs)) if len(self._proofs) == 1 else None


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST_EPOCH, _LEAST_MILLISECONDS, _MOST_MILLISECONDS = 100_000_000, 100_000_000_000, 10_000_000_000_000
_MONTHS, _NOON, _LAST_HOUR = 12, 12, 24
_ORDERS = frozenset(order.value for order in DayOrder)
_DOTNET = re.compile(r"\\?/Date\((-?\d{1,15})(?:[+-]\d{4})?\)\\?/")
_USUAL = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)?", re.ASCII)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_UNORDERED = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})")
_YEAR_FIRST = re.compile(r"(\d{4})([./-])(\d{1,2})\2(\d{1,2})")
_ORDINAL = re.compile(r"(\d{4})-?(\d{3})")
_MONTH_ONLY = re.compile(r"(\d{4})(?:-(\d{2}))?")
_ANY_DATE = (
    r"\d{4}(?P<mark>[./-])\d{1,2}(?P=mark)\d{1,2}|\d{1,2}(?P<sign>[./-])\d{1,2}(?P=sign)\d{4}"
    r"|\d{4}-?W\d{2}(?:-?\d)?|\d{4}-?\d{3}|\d{8}|\d{4}-\d{2}|\d{4}"
)
_CLOCK = r"\d{1,2}[:h]\d{2}(?::\d{2}(?:[.,]\d+)?)?"
_BASIC_CLOCK = r"\d{2}(?:\d{2}(?:\d{2}(?:[.,]\d+)?)?)?"
_OFFSET = r"[+-]\d{2}(?::?\d{2}(?::?\d{2})?)?"
_NUMERIC = re.compile(
    rf"(?P<date>{_ANY_DATE})(?:(?P<date_zone>Z|[+-]\d{{2}}:\d{{2}})"
    rf"|(?:[Tt]|\s?,\s|\s)(?P<clock>{_CLOCK}|(?<=[Tt]){_BASIC_CLOCK})"
    r"\s?(?P<half>[AaPp]\.?\s?[Mm]\.?)?\s?(?P<zone>[A-Za-z+\[].*|-\d.*)?)?",
    re.IGNORECASE,
)
_ZONE = re.compile(
    rf"(?P<name>Z|[A-Za-z]{{2,5}})?(?:\s?(?P<offset>{_OFFSET})(?:\s(?P<alias>[A-Z]{{2,5}}))?)?"
    r"\s?(?:\[(?P<city>[\w/+-]+)\])?(?P<comment>\s?\([^()]*\))?",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    rf"(?P<clock>{_CLOCK})(?![\d:h])|(?P<zone>(?:GMT|UTC|UT)\s?{_OFFSET}|(?<=[\s\d])[+-]\d{{2}}:?\d{{2}}(?!\d))"
    r"|(?P<comment>\([^()]*\))|(?P<number>\d+)(?:(?:st|nd|rd|th|er)\b|[ºª.])?|(?P<word>[^\W\d_]+\.?)"
    r"|(?P<gap>[\s,]+|[-/](?=\w))"
)
_DOTTED_HALF = re.compile(r"\b([ap])\.\s?m\b\.?", re.IGNORECASE)


def _shown(value: Any) -> str:
    return repr(value)[: MAX_CHARS + 2]


def _compact(digits: str) -> datetime:
    """Return the moment of `20260906` or `20260906161800`."""
    return datetime.strptime(digits.ljust(14, "0"), "%Y%m%d%H%M%S")  # noqa: DTZ007 zone follows


def _is_compact(digits: str) -> bool:
    try:
        return EARLIEST.year <= _compact(digits).year
    except ValueError:
        return False


def _day_of(text: str, order: Order) -> date:
    """Return the day of a numeric date; a year or a month means its first day."""
    if parts := _YEAR_FIRST.fullmatch(text):
        return date(int(parts[1]), int(parts[3]), int(parts[4]))
    if parts := _UNORDERED.fullmatch(text):
        proven = order()
        if proven is None:
            raise InvalidArticleError(
                "it may be day-first or month-first, and its column does not prove which; "
                "give --date-format day-first or --date-format month-first"
            )
        first, second = int(parts[1]), int(parts[3])
        day, month = (first, second) if proven is DayOrder.DAY_FIRST else (second, first)
        return date(int(parts[4]), month, day)
    if parts := _ORDINAL.fullmatch(text):
        first_day = date(int(parts[1]), 1, 1)
        day_of_year = first_day + timedelta(days=int(parts[2]) - 1)
        if day_of_year.year != first_day.year:
            raise ValueError(text)
        return day_of_year
    if parts := _MONTH_ONLY.fullmatch(text):
        return date(int(parts[1]), int(parts[2] or 1), 1)
    return date.fromisoformat(text)


def _clock(text: str, half: str) -> timedelta:
    """Return the time since midnight; 24:00 is the next midnight, and a leap second the next minute."""
    padded = f"0{text}" if text[1:2] in {":", "h", "H"} else text
    whole, _, fraction = re.sub("[:hH]", "", padded).replace(",", ".").partition(".")
    hour, minute, second = (int(whole[at : at + 2] or 0) for at in (0, 2, 4))
    if half:
        if hour > _NOON:
            raise ValueError(text)
        hour = hour % _NOON + (_NOON if half[0] in "pP" else 0)
    is_leap = (minute, second) == (59, 60)
    is_end = (hour, minute, second) == (_LAST_HOUR, 0, 0) and not fraction.strip("0")
    if not (hour < _LAST_HOUR or is_end) or minute > 59 or (second > 59 and not is_leap):  # noqa: PLR2004
        raise ValueError(text)
    microseconds = int(fraction[:6].ljust(6, "0")) if fraction else 0
    return timedelta(hours=hour, minutes=minute, seconds=second, microseconds=microseconds)


def _offset(text: str) -> timedelta:
    digits = text[1:].replace(":", "")
    hours, minutes, seconds = (int(digits[at : at + 2] or 0) for at in (0, 2, 4))
    if minutes > 59 or seconds > 59:  # noqa: PLR2004
        raise ValueError(text)
    offset = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return -offset if text[0] == "-" else offset


@dataclass(slots=True)
class _Words:
    """The parts of a date in words, in the order of the text."""

    numbers: list[str]
    names: list[str]  # of months and days
    clock: timedelta | None = None
    zone: str = ""
    month_at: int = 0  # how many numbers come before the first name of a month


def _in_words(text: str, lang: str) -> tuple[datetime, str]:
    """Return the local time and the zone of a date with the name of a month."""
    words = _words_of(_DOTTED_HALF.sub(r"\1m", text))
    months = [name for name in words.names if name in MONTH_OF]
    if len(months) == 2 and words.names[0] == months[0] and months[0] in DAYS:  # noqa: PLR2004 `mar. 3 mars`
        months = months[1:]
    if len(months) != 1 or any(name not in DAYS for name in words.names if name not in months):
        raise ValueError(text)
    if months[0] in OTHER_MONTHS_IN_CROATIAN and fold(lang)[:2] in LIKE_CROATIAN:
        raise ValueError(text)
    day, year = _day_and_year(words)
    return datetime(year, MONTH_OF[months[0]], day) + (words.clock or timedelta()), words.zone  # noqa: DTZ001


def _day_and_year(words: _Words) -> tuple[int, int]:
    first, second = words.numbers  # ValueError unless there are two
    sizes = len(first), len(second)
    if sizes[1] == _YEAR_DIGITS and sizes[0] <= 2:  # noqa: PLR2004
        return int(first), int(second)
    if sizes[0] == _YEAR_DIGITS and sizes[1] <= 2:  # noqa: PLR2004
        return int(second), int(first)
    if sizes[0] <= 2 and sizes[1] == 2 and words.month_at == 1 and words.clock is not None:  # noqa: PLR2004
        return int(first), int(second) + (2000 if int(second) < _CENTURY_TURN else 1900)
    raise ValueError(words.numbers)


def _words_of(text: str) -> _Words:
    words, at, clock, comment = _Words([], []), 0, "", ""
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None or (token["clock"] and clock):
            raise ValueError(text)
        at = token.end()
        clock = token["clock"] or clock
        comment = token["comment"] or comment
        if token["clock"]:
            half = re.compile(r"\s?([ap]m)\b", re.IGNORECASE).match(text, at)
            words.clock = _clock(clock, half[1] if half else "")
            at = half.end() if half else at
        elif token["zone"]:
            _add_zone(words, token["zone"])
        elif token["number"]:
            words.numbers.append(token["number"])
        elif token["word"]:
            _add_word(words, token["word"])
    if comment and not words.zone:
        raise ValueError(text)
    return words


def _add_word(words: _Words, word: str) -> None:
    name = fold(word)
    if name in MONTH_OF or name in DAYS:
        words.month_at = words.month_at or (len(words.numbers) if name in MONTH_OF else 0)
        words.names.append(name)
    elif word.isupper() and word.isalpha():
        if not words.zone.startswith(("+", "-")):  # `+0200 CEST`: the offset decides
            _add_zone(words, word)
    elif name not in FILLERS:
        raise ValueError(word)


def _add_zone(words: _Words, zone: str) -> None:
    if words.zone:
        raise ValueError(zone)
    words.zone = zone


_YEAR_DIGITS, _CENTURY_TURN = 4, 50
