"""The values in exports of analytics tools: counts, times and pages."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

# Event types by the names that analytics tools give them.
EVENT_TYPE_OF: Mapping[str, str] = {"page view": "view", "pageview": "view", "screen view": "view"}
_TOTALS = frozenset(
    {
        *("total", "totals", "grand total", "sum", "gesamt", "gesamtsumme", "summe", "totaal", "totais"),
        *("total général", "total general", "totaux", "totales", "totale", "totali", "total geral"),
    }
)
_NOT_PAGES = frozenset({"(other)", "(not set)", "(none)", "(direct)", "others", "not set"})
_GROUPS = re.compile(r"\d{1,3}(?:([ \u00a0\u202f'\u2019.,])\d{3})(?:\1\d{3})*")
_DATE_HOUR = re.compile(r"(20\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?")
_FIRST_DATE_HOUR = 2_000_000_000  # later as seconds since 1970 than any export
_MICROSECONDS_FROM, _NANOSECONDS_FROM, _NANOSECONDS_UNTIL = 10**14, 10**17, 10**19
_HOST = re.compile(r"(?:[\w-]+\.)+[^\W\d_][\w-]+(?::\d+)?", re.IGNORECASE)
_FILE = re.compile(r"\.(?:html?|php|aspx?|jsp|amp|shtml)$", re.IGNORECASE)


def is_total(cell: str) -> bool:
    """Return whether a cell says that its row is a line of totals."""
    return cell.strip().casefold().rstrip(":") in _TOTALS


def whole(value: Any, delimiter: str = "") -> int:
    """Return a count. Thousands may be grouped; with dots only if commas do not separate the fields.

    Raises ValueError if it is missing, or not a whole number of at least 0.
    """
    if value is None or value != value or value == "":  # noqa: PLR0124 NaN
        raise ValueError("it has no count")
    number = value
    if isinstance(value, str):
        text = re.sub(r"[.,]0$", "", value.strip())
        groups = _GROUPS.fullmatch(text)
        is_grouped = groups is not None and not (groups[1] == "." and delimiter in {"", ","})
        text = re.sub(r"\D", "", text) if is_grouped else text
        number = int(text) if text.isascii() and text.isdigit() else -1
    elif isinstance(value, float) and value.is_integer():
        number = int(value)
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise ValueError(f"count is {str(value)[:100]!r}; write a whole number of at least 0")
    return number


def date_value(value: Any) -> Any:
    """Return a time in a form that `DateReader` reads: `2026112915` means an hour, `202611291530` a minute.

    Microseconds and nanoseconds since 1970 become milliseconds.
    """
    text = value.strip() if isinstance(value, str) else str(value) if isinstance(value, int) else ""
    hour = _DATE_HOUR.fullmatch(text)
    if hour and int(text) >= _FIRST_DATE_HOUR:
        year, month, day, hours, minutes = hour.groups()
        return f"{year}-{month}-{day}T{hours}:{minutes or '00'}"
    if isinstance(value, datetime) or not text.isdecimal():
        return value
    number = int(text)
    if _MICROSECONDS_FROM <= number < _NANOSECONDS_FROM:
        return number // 1000
    return number // 1_000_000 if _NANOSECONDS_FROM <= number < _NANOSECONDS_UNTIL else value


def page_url(page: str, site: str) -> str:
    """Return the URL of a page that an export names by a URL, or by a path at the site or host.

    Raises ValueError if it names no page, or is a path and `site` is empty.
    """
    if not page:
        raise ValueError("it has no article and no url")
    if page.casefold() in _NOT_PAGES:
        raise ValueError(f"{page!r} is not a page")
    if any("\udc80" <= letter <= "\udcff" for letter in page):
        raise ValueError(f"the url {page[:100]!r} is not UTF-8")
    if "://" in page:
        return page
    first = page.removeprefix("//").partition("/")[0]
    if not (page.startswith("/") and not page.startswith("//")) and _is_host(first):
        return f"https://{page.removeprefix('//')}"
    if not site:
        raise ValueError(f"{page[:100]!r} has no host; give the address of the site with --site")
    parts = urlsplit(site if "://" in site else f"https://{site}")
    return f"{parts.scheme}://{parts.netloc}/{page.lstrip('/')}"


def _is_host(text: str) -> bool:
    return bool(_HOST.fullmatch(text.partition("?")[0])) and not _FILE.search(text)
