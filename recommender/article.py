"""The article: what a newsroom publishes, as every part of the recommender sees it."""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

MAX_ID_BYTES = 512
EARLIEST = datetime(1700, 1, 1, tzinfo=UTC)  # older than the oldest newspaper archive digitized today
LATEST_AHEAD = timedelta(days=5 * 366)  # an embargo may lie ahead, next century is a typing error


class InvalidArticleError(ValueError):
    """An article, or one field of it, that cannot be taken; the message names the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """One article. `title` and `body` are plain text; `published_at` and `updated_at` are aware UTC moments.

    Raises InvalidArticleError for an id that breaks `check_id`, or when title and body are both blank.
    """

    id: str
    title: str = ""
    body: str = ""
    url: str | None = None
    category: str | None = None  # the primary one
    categories: tuple[str, ...] = ()  # all of them, the primary one included
    tags: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    type: str | None = None
    published_at: datetime | None = None
    updated_at: datetime | None = None
    lang: str | None = None  # two letters, lower case; None: not known
    image_url: str | None = None

    def to_json(self) -> str:
        """Return the article as one line of JSON, which every reader takes; equal ones are equal strings."""
        fields = {name: value for name, value in asdict(self).items() if value}
        return json.dumps(fields, ensure_ascii=False, default=datetime.isoformat)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Article":
        """Return what `to_json` wrote. Raises ValueError, of which InvalidArticleError is one."""
        fields = json.loads(text)
        for name in ("categories", "tags", "authors"):
            fields[name] = tuple(fields.get(name, ()))
        for name in ("published_at", "updated_at"):
            fields[name] = datetime.fromisoformat(fields[name]) if name in fields else None
        try:
            return cls(**fields)
        except TypeError as error:
            raise InvalidArticleError(f"this is not an article: {error}") from None

    def is_newer(self, known: "Article") -> bool:
        """Tell whether this dated state of an article is newer than what is known of it.

        Where what is known has no date of change, it is where the two differ.
        """
        if known.updated_at is None or self.updated_at is None:
            return replace(self, updated_at=None) != known
        return self.updated_at > known.updated_at

    def __post_init__(self) -> None:
        """Check the id, that there is something to read, and that all of it is UTF-8."""
        check_id(self.id)
        if not self.title.strip() and not self.body.strip():
            raise InvalidArticleError(f"article {self.id!r} has neither a title nor a body")
        lists = (*self.categories, *self.tags, *self.authors)
        for text in (
            self.title,
            self.body,
            self.url,
            self.category,
            self.type,
            self.lang,
            self.image_url,
            *lists,
        ):
            _check_utf8(self.id, text or "")
        try:
            canonical_url(self.url or "")
        except InvalidArticleError as error:
            raise InvalidArticleError(f"article {self.id!r}: {error}") from None


def check_id(article_id: str) -> str:
    """Return the id unchanged: 1-512 bytes of UTF-8, no NUL, no surrogates, not `.` or `..`.

    Ids are compared byte for byte. Raises InvalidArticleError, naming the id (cut to 100 characters).
    """
    shown = repr(article_id[:100])
    try:
        size = len(article_id.encode())
    except UnicodeEncodeError:
        raise InvalidArticleError(f"id {shown} holds a lone surrogate, which is not UTF-8") from None
    if not 1 <= size <= MAX_ID_BYTES:
        raise InvalidArticleError(f"id {shown} has {size} bytes of UTF-8; 1 to {MAX_ID_BYTES} are allowed")
    if "\0" in article_id:
        raise InvalidArticleError(f"id {shown} holds a NUL character")
    if article_id in {".", ".."}:
        raise InvalidArticleError(f"id {shown} is a relative path segment, which URLs cannot carry")
    return article_id


def moment(text: str, *, now: datetime, timezone: tzinfo = UTC) -> datetime:
    """Read any ISO 8601 date or time as a UTC moment; a naive one is taken in `timezone`.

    A date alone, a month (`2024-05`), a year and an ordinal date (`2024-135`) mean their first moment.
    Raises InvalidArticleError when the text is no date, or lies before 1700 or over five years after `now`.
    """
    try:
        read = datetime.fromisoformat(_complete_date(text.strip()))
        if read.tzinfo is None:
            read = read.replace(tzinfo=timezone)
        read = read.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidArticleError(f"{text[:100]!r} is not an ISO 8601 date or time") from None
    if not EARLIEST <= read <= now + LATEST_AHEAD:
        raise InvalidArticleError(f"{text[:100]!r} is not a plausible date for an article")
    return read


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names stripped, without blanks and repeats, in the order given."""
    return tuple(dict.fromkeys(name for raw in names if (name := raw.strip())))


def canonical_url(url: str) -> str:
    """Return the URL without what does not tell articles apart.

    Dropped: scheme, `www.`, default port, fragment, `utm_*` parameters and trailing slashes; the host is
    lower case. The path keeps its case, in the escapes of RFC 3986, as browsers name it; the other parameters
    keep their order. Raises InvalidArticleError.
    """
    try:
        parts = urlsplit(url.strip())
        pairs = [
            (k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if not k.startswith("utm_")
        ]
        query = f"?{urlencode(pairs)}" if pairs else ""
        path = _ESCAPE.sub(lambda found: found[0].upper(), quote(parts.path.rstrip("/"), safe=_IN_PATHS))
    except ValueError:
        raise InvalidArticleError(f"{url[:100]!r} is not a URL") from None
    host = parts.netloc.lower().removeprefix("www.").removesuffix(":80").removesuffix(":443")
    return f"{host}{path}{query}"


_IN_PATHS = "%/!$&'()*+,;=:@"  # of letters, digits and -._~ apart, what stands there as it is
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")


def _check_utf8(article_id: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        near = text[max(0, error.start - 20) : error.start + 20]
        raise InvalidArticleError(f"article {article_id!r} holds a lone surrogate: {near!r}") from None


_YEAR = re.compile(r"\d{4}")
_MONTH = re.compile(r"\d{4}-\d{2}")
_ORDINAL = re.compile(r"(\d{4})-?(\d{3})(?=$|T)")


def _complete_date(text: str) -> str:
    """Return the reduced ISO forms that `datetime.fromisoformat` refuses in a form that it takes."""
    if _YEAR.fullmatch(text):
        return f"{text}-01-01"
    if _MONTH.fullmatch(text):
        return f"{text}-01"
    if found := _ORDINAL.match(text):
        year, day = int(found[1]), int(found[2])
        if not 1 <= day <= (datetime(year + 1, 1, 1, tzinfo=UTC) - datetime(year, 1, 1, tzinfo=UTC)).days:
            raise ValueError(text)
        first = datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=day - 1)
        return f"{first:%Y-%m-%d}{text[found.end() :]}"
    return text
