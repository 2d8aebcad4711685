"""The article: the data type that all parts of the recommender share."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from recommender.given_vectors import GivenVector, VectorError
from recommender.summary import shortened

MAX_ID_BYTES = 512
EARLIEST = datetime(1700, 1, 1, tzinfo=UTC)  # older than any digitized newspaper archive
LATEST_AHEAD = timedelta(days=5 * 366)  # embargoed articles have future dates; a date beyond this is a typo


class InvalidArticleError(ValueError):
    """An invalid article or field; the message includes the value.

    >>> recommender.Article(id="", title="Ferry stops in winter")
    Traceback (most recent call last):
    recommender.article.InvalidArticleError: id '' has 0 bytes of UTF-8; 1 to 512 are allowed
    """


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Article:
    """One article. `title` and `body` are plain text; `published_at` and `updated_at` are datetimes in UTC.

    `vector` is a list of numbers that the newsroom computed, such as an embedding; its length does not count.

    Raises InvalidArticleError if `check_id` rejects the id, if title, body and vector are all missing, if a
    text has a lone surrogate, or if the URL or the vector is malformed.

    >>> recommender.Article(id="1", title="Ferry stops in winter", category="Transport")
    Article(id='1', title='Ferry stops in winter', category='Transport')
    """

    id: str
    title: str = ""
    body: str = ""
    url: str | None = None
    category: str | None = None  # the primary one
    categories: tuple[str, ...] = ()  # all of them, including the primary one
    tags: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    type: str | None = None
    published_at: datetime | None = None
    updated_at: datetime | None = None
    lang: str | None = None  # a code of `text.language_code`, such as "en"; None: unknown
    image_url: str | None = None
    vector: Sequence[float] | None = None  # such as an embedding; becomes a `GivenVector`

    def __repr__(self) -> str:
        """Return the fields that have a value; a long text is cut."""
        fields = {name: value for name in self.__slots__ if (value := getattr(self, name))}
        texts = {name: shortened(value) for name, value in fields.items() if isinstance(value, str)}
        shown = (f"{name}={value!r}" for name, value in {**fields, **texts}.items())
        return f"{type(self).__name__}({', '.join(shown)})"

    def to_json(self) -> str:
        """Return the article as one line of JSON that all readers accept; equal articles give equal lines."""
        fields = {name: value for name in self.__slots__ if (value := getattr(self, name))}
        return json.dumps(fields, ensure_ascii=False, default=_as_json)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Article":
        """Return the article that `to_json` wrote. Raises ValueError, or its subclass InvalidArticleError."""
        fields = json.loads(text)
        for name in ("categories", "tags", "authors"):
            fields[name] = tuple(fields.get(name, ()))
        for name in ("published_at", "updated_at"):
            fields[name] = datetime.fromisoformat(fields[name]) if name in fields else None
        try:
            return cls(**fields)
        except TypeError as error:
            raise InvalidArticleError(f"this is not an article: {error}") from None

    def is_newer(self, stored: "Article") -> bool:
        """Return whether this version of an article is newer than the stored version.

        Compares `updated_at`. If either version has none, this one counts as newer when the contents differ.
        """
        if stored.updated_at is None or self.updated_at is None:
            return replace(self, updated_at=None) != stored
        return self.updated_at > stored.updated_at

    def __post_init__(self) -> None:
        """Check the id, the URL, the vector, that there is a text, and that all texts are valid UTF-8."""
        check_id(self.id)
        if self.vector is not None:
            object.__setattr__(self, "vector", _checked_vector(self.id, self.vector))
        elif not self.title.strip() and not self.body.strip():
            raise InvalidArticleError(f"article {self.id!r} has neither a title nor a body")
        single = (self.title, self.body, self.url, self.category, self.type, self.lang, self.image_url)
        for text in (*single, *self.categories, *self.tags, *self.authors):
            if text and not text.isascii():  # which takes no time
                _check_utf8(self.id, text)
        if self.url and not is_plain_url(self.url):
            try:
                canonical_url(self.url)
            except InvalidArticleError as error:
                raise InvalidArticleError(f"article {self.id!r}: {error}") from None


def check_id(article_id: str) -> str:
    """Return the id unchanged: 1-512 bytes of UTF-8, no NUL, no surrogates, not `.` or `..`.

    Ids are compared byte for byte. Raises InvalidArticleError, naming the id (cut to 100 characters).
    """
    if _PLAIN_ID.fullmatch(article_id):  # nearly all ids
        return article_id
    shown = repr(article_id[:100])
    try:
        size = len(article_id.encode())
    except UnicodeEncodeError:
        raise InvalidArticleError(f"id {shown} contains a lone surrogate, which is not UTF-8") from None
    if not 1 <= size <= MAX_ID_BYTES:
        raise InvalidArticleError(f"id {shown} has {size} bytes of UTF-8; 1 to {MAX_ID_BYTES} are allowed")
    if "\0" in article_id:
        raise InvalidArticleError(f"id {shown} contains a NUL character")
    if article_id in {".", ".."}:
        raise InvalidArticleError(f"id {shown} is a relative path segment, which URLs cannot carry")
    return article_id


def moment(text: str, *, now: datetime, timezone: tzinfo = UTC) -> datetime:
    """Parse an ISO 8601 date or time and return it in UTC; `timezone` applies if the text has no offset.

    A date without a time, a month (`2024-05`), a year or an ordinal date (`2024-135`) means its first moment.
    Raises InvalidArticleError if the text is not a date, or the date is before 1700 or more than five years
    after `now`.
    """
    try:
        parsed = datetime.fromisoformat(_complete_date(text.strip()))
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=timezone)
        parsed = parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidArticleError(f"{text[:100]!r} is not an ISO 8601 date or time") from None
    if not EARLIEST <= parsed <= now + LATEST_AHEAD:
        raise InvalidArticleError(f"{text[:100]!r} is not a plausible date for an article")
    return parsed


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names stripped of white space, without blanks and duplicates, in their original order."""
    return tuple(dict.fromkeys(name for raw in names if (name := raw.strip())))


def is_plain_url(url: str) -> bool:
    """Return whether a URL is only `http://` or `https://`, a host and a path, both in ordinary characters.

    Most URLs of articles are like that; their canonical form needs no parsing.
    """
    return bool(_PLAIN_URL.fullmatch(url))


def canonical_url(url: str) -> str:
    """Return the URL in a canonical form, so that variants of one address compare equal.

    Drops the scheme, `www.`, the default port, the fragment, `utm_*` parameters and trailing slashes, and
    lowers the case of the host. The path keeps its case and is percent-encoded by RFC 3986, as in browsers;
    the other parameters keep their order. Raises InvalidArticleError if the URL is malformed.
    """
    if plain := _PLAIN_URL.fullmatch(url):
        return plain["host"].lower().removeprefix("www.") + plain["path"].rstrip("/")
    try:
        parts = urlsplit(url.strip())
        pairs = [
            (k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if not k.startswith("utm_")
        ]
        query = f"?{urlencode(pairs)}" if pairs else ""
        path = _ESCAPE.sub(lambda escape: escape[0].upper(), quote(parts.path.rstrip("/"), safe=_IN_PATHS))
    except ValueError:
        raise InvalidArticleError(f"{url[:100]!r} is not a URL") from None
    host = parts.netloc.lower().removeprefix("www.").removesuffix(":80").removesuffix(":443")
    return f"{host}{path}{query}"


_PLAIN_ID = re.compile(rf"[A-Za-z0-9][!-~]{{0,{MAX_ID_BYTES - 1}}}")
_PLAIN_URL = re.compile(r"https?://(?P<host>[A-Za-z0-9.-]+)(?P<path>(?:/[A-Za-z0-9._~!$&'()*+,;=:@/-]*)?)")
_IN_PATHS = "%/!$&'()*+,;=:@"  # not percent-encoded in a path, beside letters, digits and -._~
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")


def _as_json(value: datetime | GivenVector) -> str | list[float]:
    return value.to_list() if isinstance(value, GivenVector) else value.isoformat()


def _checked_vector(article_id: str, vector: Sequence[float]) -> GivenVector:
    try:
        return GivenVector.of(vector)
    except VectorError as error:
        raise InvalidArticleError(f"article {article_id!r}: vector: {error}") from None


def _check_utf8(article_id: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        near = text[max(0, error.start - 20) : error.start + 20]
        raise InvalidArticleError(f"article {article_id!r} contains a lone surrogate: {near!r}") from None


_YEAR = re.compile(r"\d{4}")
_MONTH = re.compile(r"\d{4}-\d{2}")
_ORDINAL = re.compile(r"(\d{4})-?(\d{3})(?=$|T)")


def _complete_date(text: str) -> str:
    """Expand a reduced ISO form (year, month, ordinal date) to one that `datetime.fromisoformat` accepts."""
    if _YEAR.fullmatch(text):
        return f"{text}-01-01"
    if _MONTH.fullmatch(text):
        return f"{text}-01"
    if ordinal := _ORDINAL.match(text):
        year, day = int(ordinal[1]), int(ordinal[2])
        if not 1 <= day <= (datetime(year + 1, 1, 1, tzinfo=UTC) - datetime(year, 1, 1, tzinfo=UTC)).days:
            raise ValueError(text)
        first = datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=day - 1)
        return f"{first:%Y-%m-%d}{text[ordinal.end() :]}"
    return text
