"""Convert one row of any input format to an article: check and clean every field."""

import html
import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from functools import lru_cache, partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

from recommender.article import Article, InvalidArticleError, check_id, is_plain_url, unique
from recommender.dates import DateReader, DayOrder
from recommender.given_vectors import GivenVector, VectorError
from recommender.name_lists import listed
from recommender.text import detect_language, is_same_language, language_code, other_language, plain_text

COLUMNS = (
    "id",
    "title",
    "body",
    "url",
    "category",
    "categories",
    "tags",
    "authors",
    "type",
    "published_at",
    "updated_at",
    "lang",
    "image_url",
    "vector",
    "status",
    "post_password",
)
LANGUAGE_CHARS = 4000  # read by `detect_language`


class RefusedError(ValueError):
    """An invalid row or field: a reason to group by, and a detail that includes the value."""

    def __init__(self, reason: str, detail: str, article_id: str | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.article_id = article_id


@dataclass(frozen=True, slots=True)
class RowReader:
    """Converts rows to articles, with the time zone of naive dates, the current time and the id prefix.

    `date_formats` are those of `recommender.dates.DateReader`.
    """

    timezone: tzinfo
    now: datetime
    id_prefix: str = ""
    date_formats: tuple[str, ...] = ()
    _dates: DateReader = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the reader of dates, once for all rows."""
        object.__setattr__(self, "_dates", DateReader(self.now, self.timezone, self.date_formats))

    def article(
        self, values: Mapping[str, Any], day_order: Callable[[str], DayOrder | None] = lambda _: None
    ) -> tuple[Article, list[RefusedError]]:
        """Return the article in a row, and an error for each field that was refused and left empty.

        Raises RefusedError if `id`, `title` or `body` has a value of the wrong type, or if `published_at` has
        a value that cannot be read: without its date an article would be public too early. In other columns
        only the field is refused. `day_order` returns the order of day and month that a column proves, if a
        date needs it. The primary category comes first. The language is that in `lang`, which the article
        itself states; else that of the text if it is clear; else that in `default_lang`, which the whole site
        or file states; else the best guess.
        """
        article_id = self._id(values.get("id"))
        title, body = (_prose(name, values.get(name), article_id) for name in ("title", "body"))
        title = " ".join(title.split())
        if not title and not body:
            raise RefusedError("neither title nor body", f"article {article_id!r} has no text", article_id)
        row = _Row(values, article_id)
        own_lang, default_lang = row.field("lang", _language), row.field("default_lang", _language)
        stated_lang = own_lang or default_lang or ""

        def read_date(name: str, value: Any) -> datetime | None:
            return _moment(value, self._dates, partial(day_order, name), stated_lang)

        published_at = row.field("published_at", partial(read_date, "published_at"))
        if published_at is None and row.refused and row.refused[-1].reason.startswith("published_at"):
            raise row.refused[-1]
        categories, others = row.field("category", _category) or (), row.field("categories", _names)
        if others:
            categories = unique([*categories, *others])
        article = Article(
            id=article_id,
            title=title,
            body=body,
            url=row.field("url", _url),
            category=categories[0] if categories else None,
            categories=categories,
            tags=row.field("tags", _names) or (),
            authors=row.field("authors", _names) or (),
            type=row.field("type", _name),
            published_at=published_at,
            updated_at=row.field("updated_at", partial(read_date, "updated_at")),
            lang=_lang_of(title, body, own_lang, default_lang),
            image_url=row.field("image_url", _url),
            vector=row.field("vector", _vector),
        )
        return article, row.refused

    def _id(self, value: Any) -> str:
        if is_missing(value):
            raise RefusedError("missing id", "the row has no id")
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise RefusedError("bad id", f"id is {_shown(value)}; ids are text or whole numbers")
        try:
            return check_id(self.id_prefix + value)
        except InvalidArticleError as error:
            raise RefusedError("bad id", str(error)) from None


def is_missing(value: Any) -> bool:
    """Return whether a field has no value: None, an empty string or NaN."""
    return value is None or value == "" or (isinstance(value, float) and value != value)  # noqa: PLR0124 - NaN


_Value = TypeVar("_Value")


class _Row:
    """The values of one row, and the errors of its refused fields."""

    def __init__(self, values: Mapping[str, Any], article_id: str) -> None:
        self.refused: list[RefusedError] = []
        self._values = values
        self._article_id = article_id

    def field(self, name: str, read: Callable[[Any], _Value]) -> _Value | None:
        """Return the value as converted by `read`, or None if it is missing or refused."""
        value = self._values.get(name)
        if value is None or is_missing(value):
            return None
        try:
            return read(value)
        except RefusedError as error:
            detail = error.detail or f"{name} is {_shown(value)}"
            self.refused.append(RefusedError(f"{name}: {error.reason}", detail, self._article_id))
            return None


_MAX_CACHED_CHARS = 200  # of a name, a list of names or a language
_SEPARATORS = re.compile(r"[|;]")
_WEB_ADDRESS = re.compile(r"https?://[^\s/]|/", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def _shown(value: Any) -> str:
    """Return a value for a message: the first 100 characters of a string, or another value and its type."""
    return repr(value[:100]) if isinstance(value, str) else f"{reprlib.repr(value)} ({type(value).__name__})"


def _prose(name: str, value: Any, article_id: str) -> str:
    if is_missing(value):
        return ""
    if not isinstance(value, str):
        raise RefusedError(f"{name}: wrong type", f"{name} is {_shown(value)}; it must be text", article_id)
    return plain_text(value)


def _cached(read: Callable[[str], _Value]) -> Callable[[str], _Value]:
    """Return a function of a text that remembers its results for texts of ordinary length."""
    remembered = lru_cache(maxsize=65_536)(read)
    return lambda text: remembered(text) if len(text) <= _MAX_CACHED_CHARS else read(text)


@_cached
def _clean_name(raw: str) -> str:
    """Return a name as it is displayed."""
    return " ".join(plain_text(raw).split())


def _name(value: Any) -> str | None:
    if not isinstance(value, str):
        raise RefusedError("wrong type", "")
    return _clean_name(value) or None


def _moment(
    value: Any, dates: DateReader, order: Callable[[], DayOrder | None], lang: str
) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float | date | Mapping | list):
        raise RefusedError("wrong type", "")
    if isinstance(value, str) and not value.strip():
        return None
    try:
        return dates.read(value, order, lang)
    except InvalidArticleError as error:
        raise RefusedError("impossible date", str(error)) from None


def _category(value: Any) -> tuple[str, ...]:
    """Return the name of a category, or several names if they were written as a list into one text."""
    if not isinstance(value, str):
        raise RefusedError("wrong type", "")
    return _category_of_text(value)


@_cached
def _category_of_text(text: str) -> tuple[str, ...]:
    items = listed(text)
    return unique([_clean_name(text)]) if items is None else _names(items)


def _names(value: Any) -> tuple[str, ...]:
    """Return the names in a list, also in one that was written as text, or in a text separated by `|` or `;`.

    A comma is part of a name.
    """
    if isinstance(value, str):
        return _names_of_text(value)
    if not isinstance(value, list | tuple):
        raise RefusedError("wrong type", "")
    return unique(_name(name) or "" for name in value if not is_missing(name))


@_cached
def _names_of_text(text: str) -> tuple[str, ...]:
    items = listed(text)
    return _names(_SEPARATORS.split(html.unescape(text)) if items is None else items)


def _url(value: Any) -> str | None:
    if not isinstance(value, str):
        raise RefusedError("wrong type", "")
    url = value.strip()
    if not url or is_plain_url(url):
        return url or None
    if not _WEB_ADDRESS.match(url) or _CONTROL.search(url):
        raise RefusedError("no web address", "")
    try:
        urlsplit(url)
    except ValueError:
        raise RefusedError("no web address", "") from None
    return url


def _vector(value: Any) -> GivenVector:
    """Return the vector in a list of numbers, also in one that was written as text."""
    try:
        return GivenVector.of(value)
    except VectorError as error:
        raise RefusedError("no vector", f"vector is {_shown(value)}; {error}") from None


def _lang_of(title: str, body: str, own: str | None, default: str | None) -> str | None:
    if own and own != "zh":
        return own
    text = f"{title}\n{body[:LANGUAGE_CHARS]}"
    stated = own or (default and (other_language(text, default) or default))
    detected = detect_language(text) if stated in {None, "zh"} else None  # the text shows how it is written
    return detected if detected and is_same_language(detected, stated or detected) else stated


def _language(value: Any) -> str | None:
    if not isinstance(value, str):
        raise RefusedError("wrong type", "")
    return _stated_language(value)


@_cached
def _stated_language(tag: str) -> str | None:
    if re.split(r"[-_]", tag.strip().lower())[0] in {"", "und", "zxx", "mul"}:  # unknown, none, several
        return None
    code = language_code(tag)
    if code is None:
        raise RefusedError("no two-letter language code", "")
    return code
