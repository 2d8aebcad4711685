"""What a request may say: parameters and bodies, each defined once and checked before anything else happens.

A field's description says what it allows; it is what a refusal tells the caller.
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar, get_origin
from urllib.parse import parse_qsl, quote

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic_core import from_json

from recommender.article import Article, check_id, moment
from recommender.article_id import ArticleId
from recommender.serving.http.problems import Fault, Place, Problem, bad_body, bad_parameter
from recommender.serving.lists.query import ANY, DIVERSITY, FRESHNESS, Dedupe, ListQuery, Mode
from recommender.text import detect_language, plain_text

MAX_FIELDS = 1000  # of a query string
MAX_URL_CHARS = 4096
MAX_QUERY_CHARS = 200
RELATED_SUFFIX, TRENDING_SUFFIX = "/related", "/trending"  # of the path of an article
_CALL_OF_SUFFIX = {RELATED_SUFFIX: "/v1/related", TRENDING_SUFFIX: "/v1/trending/rank"}
ANY_TIME = datetime(9000, 1, 1, tzinfo=UTC)  # a filter may name any date, however far ahead
_INT64 = np.iinfo(np.int64)
_TEXT_ID = "-"  # an Article needs an id, and a text has none

_SHARE_ALLOWED = "a number from 0 to 1 with at most two decimals"
_LIMIT = "a whole number from 1 to 50"
_NAMES = "the name or slug of a category; may be repeated"
_DATE = "an ISO 8601 date or time, such as 2025-04-24T05:40:00Z"
_QUERY = "1 to 200 characters; the last word may be the beginning of one"
ID_ALLOWED = "an article's id: 1-512 bytes of UTF-8, no NUL, not '.' or '..'"


def cursor_behind(date: int, article_id: str) -> str:
    """Return the opaque cursor of the page that follows an article published at `date`, in microseconds."""
    return urlsafe_b64encode(f"{date} {article_id}".encode()).decode()


def read_cursor(cursor: str) -> tuple[int, str]:
    """Return the date and the id that `cursor_behind` wrote. Raises ValueError for anything else."""
    date, _, article_id = urlsafe_b64decode(cursor.encode("ascii")).decode().partition(" ")
    if cursor_behind(int(date), check_id(article_id)) != cursor or not _INT64.min <= int(date) <= _INT64.max:
        raise ValueError(cursor)
    return int(date), article_id


def _number(value: object) -> object:
    """Read the digits of a query string; numbers of a JSON body pass as they are."""
    if not isinstance(value, str):
        return value
    if _WHOLE.fullmatch(value):
        return int(value)
    return float(value) if _DECIMAL.fullmatch(value) else value


def _share(value: object) -> object:
    """Read a share from a query string; refuse more than two decimals, as there are no more steps."""
    if isinstance(value, str):
        value = float(value) if _TWO_DECIMALS.fullmatch(value) else value
    if isinstance(value, float) and value != round(value, 2):
        raise ValueError(value)
    return value


def _flag(value: object) -> object:
    """Read the 0 or 1 of a JSON body as a query string spells it."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _one_or_many(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _date(value: object) -> object:
    return moment(value, now=ANY_TIME) if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


_WHOLE = re.compile(r"[0-9]{1,9}")
_TWO_DECIMALS = re.compile(r"[01](\.[0-9]{1,2})?")
_DECIMAL = re.compile(r"[0-9]{1,9}\.[0-9]{1,20}|[0-9](\.[0-9]{1,20})?e-[0-9]{1,2}")  # as programs print it

# What reads a string stands last, for it comes first: so the document tells what is checked behind it.
_Limit = Annotated[int, Field(strict=True, ge=1, le=50, description=_LIMIT), BeforeValidator(_number)]
_Names = Annotated[tuple[str, ...], Field(max_length=200, description=_NAMES), BeforeValidator(_one_or_many)]
Date = Annotated[datetime, Field(strict=True), BeforeValidator(_date)]
_Place = Annotated[tuple[int, str], WithJsonSchema({"type": "string"}), BeforeValidator(read_cursor)]
_Days = Annotated[float, Field(strict=True, ge=0, le=36525), BeforeValidator(_number)]
_Score = Annotated[float, Field(strict=True, ge=0, le=1), BeforeValidator(_number)]
_Share = Annotated[
    float,
    Field(strict=True, ge=0, le=1, description=_SHARE_ALLOWED, json_schema_extra={"multipleOf": 0.01}),
    BeforeValidator(_share),
]
_Flag = Annotated[Literal["0", "1"], BeforeValidator(_flag), Field(description="0 or 1")]
_Window = Annotated[Literal["1h", "24h", "7d"], Field(description="'1h', '24h' or '7d'")]
_Mode = Annotated[Mode, Field(description="'related', 'background' (older) or 'follow_up' (newer)")]
_Lang = Annotated[
    str,
    Field(pattern=r"^(any|[a-z]{2,3})$", json_schema_extra={"pattern": "^([Aa][Nn][Yy]|[A-Za-z]{2,3})$"}),
    BeforeValidator(_lower),
]


class Parameters(BaseModel):
    """The parameters of one call; those that it does not list are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class ArticleAddress(Parameters):
    """One article, by `id` or by `url`."""

    id: Annotated[ArticleId | None, Field(description=ID_ALLOWED)] = None
    url: Annotated[
        str | None,
        Field(min_length=1, max_length=MAX_URL_CHARS, description="the article's address on the site"),
    ] = None

    def only(self) -> tuple[Literal["id", "url"], str]:
        """Return which of the two was given, and its value. Raises Problem when none or both were."""
        if self.id is not None and self.url is None:
            return "id", self.id
        if self.url is not None and self.id is None:
            return "url", self.url
        raise bad_parameter([Fault("query", "id", self.id, "exactly one of id and url")])


class Filters(Parameters):
    """The parameters that every list takes."""

    limit: _Limit = 9
    category: _Names = ()
    exclude_category: _Names = ()
    exclude: Annotated[
        tuple[ArticleId, ...],
        Field(max_length=200, description="up to 200 ids of articles; may be repeated"),
        BeforeValidator(_one_or_many),
    ] = ()
    lang: Annotated[_Lang | None, Field(description="'any' or a language code such as 'en'")] = None
    max_age_days: Annotated[_Days | None, Field(description="a number from 0 to 36525")] = None
    published_before: Annotated[Date | None, Field(description=_DATE)] = None
    published_after: Annotated[Date | None, Field(description=_DATE)] = None
    mode: _Mode = "related"
    freshness: _Share = FRESHNESS
    diversity: _Share = DIVERSITY
    min_similarity: Annotated[_Score | None, Field(description="a number from 0 to 1")] = None
    fallback: Annotated[Literal["auto", "none"], Field(description="'auto' or 'none'")] = "auto"
    explain: _Flag = "0"
    include: Annotated[Literal["trending"] | None, Field(description="'trending'")] = None

    def query(self, unknown: Literal["404", "fallback"] = "404") -> ListQuery:
        """Return the parameters as the query of a list."""
        return ListQuery(
            limit=self.limit,
            categories=self.category,
            exclude_categories=self.exclude_category,
            exclude=self.exclude,
            lang=self.lang,
            max_age_days=self.max_age_days,
            published_before=self.published_before,
            published_after=self.published_after,
            mode=self.mode,
            freshness=self.freshness,
            diversity=self.diversity,
            min_similarity=self.min_similarity,
            fallback=self.fallback,
            explain=self.explain == "1",
            unknown=unknown,
            include_trending=self.include == "trending",
        )


class RelatedParameters(Filters):
    """The parameters of the list of an article whose id stands in the path."""

    unknown: Annotated[Literal["404", "fallback"], Field(description="'404' or 'fallback'")] = "404"


class AddressedRelatedParameters(RelatedParameters, ArticleAddress):
    """The parameters of the list of an article named in the query."""


class BatchParameters(RelatedParameters):
    """The parameters of the lists of several articles."""

    id: Annotated[
        tuple[ArticleId, ...],
        Field(min_length=1, max_length=100, description="1 to 100 ids of articles; is repeated"),
        BeforeValidator(_one_or_many),
    ]


class AroundParameters(Parameters):
    """The parameters of what stands around an article on its page."""

    related_limit: _Limit = 9
    trending_limit: _Limit = 8
    dedupe: Annotated[Dedupe, Field(description="'all', 'lists' or 'none'")] = "all"
    explain: _Flag = "0"


class AddressedAroundParameters(AroundParameters, ArticleAddress):
    """The parameters of the page of an article named in the query."""


class PageParameters(Parameters):
    """The parameters of a page of articles, newest first."""

    limit: _Limit = 9
    cursor: Annotated[_Place | None, Field(description="the next_cursor of an answer")] = None


class NewestParameters(PageParameters):
    """The parameters of the newest articles."""

    category: _Names = ()
    updated_after: Annotated[Date | None, Field(description=_DATE)] = None


class TrendParameters(Parameters):
    """The parameters of where one article stands."""

    window: _Window = "1h"


class AddressedTrendParameters(TrendParameters, ArticleAddress):
    """The parameters of where an article named in the query stands."""


class TrendingParameters(TrendParameters):
    """The parameters of the list of what is read most."""

    limit: _Limit = 8
    category: _Names = ()
    published_after: Annotated[Date | None, Field(description=_DATE)] = None


class SearchParameters(Parameters):
    """The parameters of a search."""

    q: Annotated[str, Field(min_length=1, max_length=MAX_QUERY_CHARS, description=_QUERY)]
    limit: _Limit = 9
    category: _Names = ()
    lang: Annotated[_Lang, Field(description="'any' or a language code such as 'en'")] = ANY


class Text(Filters):
    """The body of a request for what is similar to a text."""

    title: Annotated[str, Field(strict=True, description="a string; title or body must hold text")] = ""
    body: Annotated[str, Field(strict=True, description="a string, plain or HTML")] = ""
    published_at: Annotated[Date | None, Field(description=_DATE)] = None

    def article(self) -> Article:
        """Return the text as an article, HTML removed, its language found where it is not named.

        Raises Problem when nothing is left of it.
        """
        title, body = plain_text(self.title), plain_text(self.body)
        if not title and not body:
            raise bad_body([Fault("body", "title", self.title, "a title or a body that holds text")])
        lang = detect_language(f"{title}\n{body}") if self.lang in {None, ANY} else self.lang
        return Article(id=_TEXT_ID, title=title, body=body, lang=lang, published_at=self.published_at)


AnyParameters = TypeVar("AnyParameters", bound=Parameters)


def read_query(schema: type[AnyParameters], query_string: str) -> AnyParameters:
    """Read the raw query string, as WSGI hands it over: bytes in the guise of Latin-1.

    Raises Problem for what is unknown, repeated, out of range or no UTF-8.
    """
    given: dict[str, Any] = {}
    for name, value in _pairs(query_string):
        field = schema.model_fields.get(name)
        if field is not None and get_origin(field.annotation) is tuple:
            given.setdefault(name, []).append(value)
        elif name in given:
            raise bad_parameter([Fault("query", name, value, "one value only")])
        else:
            given[name] = value
    try:
        return schema.model_validate(given)
    except ValidationError as error:
        raise bad_parameter(_faults(schema, error, "query")) from None


def parse_object(body: bytes, allowed: str = "a JSON object") -> dict[str, Any]:
    """Return the JSON object in a body. Raises Problem for anything else; `allowed` says what is expected."""
    fault = Fault("body", "body", body[:200].decode(errors="replace"), allowed)
    try:
        values = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Problem("bad-body", f"the body is not JSON: {error}", (fault,)) from None
    if not isinstance(values, dict):
        raise Problem("bad-body", "the body is not a JSON object", (fault,))
    return values


def validate_body(schema: type[AnyParameters], values: dict[str, Any]) -> AnyParameters:
    """Return the values of a JSON object, checked. Raises Problem for a wrong or unknown field."""
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise bad_body(_faults(schema, error, "body")) from None


def utf8(raw: str, place: Place, name: str) -> str:
    """Return the text of bytes in the guise of Latin-1. Raises Problem for what is no UTF-8."""
    try:
        return raw.encode("latin-1").decode()
    except UnicodeError:
        shown = raw.encode("latin-1", errors="replace").decode(errors="backslashreplace")
        raise bad_parameter([Fault(place, name, shown, "UTF-8, percent-encoded")]) from None


def _pairs(query_string: str) -> list[tuple[str, str]]:
    try:
        raw = parse_qsl(query_string, keep_blank_values=True, encoding="latin-1", max_num_fields=MAX_FIELDS)
    except ValueError:
        few = f"at most {MAX_FIELDS} parameters"
        raise bad_parameter([Fault("query", "query string", query_string, few)]) from None
    return [(utf8(name, "query", "name of a parameter"), utf8(value, "query", name)) for name, value in raw]


def _faults(schema: type[Parameters], error: ValidationError, place: Place) -> list[Fault]:
    faults = []
    for each in error.errors(include_url=False, include_context=False):
        name = str(each["loc"][0])
        field = schema.model_fields.get(name)
        known = f"one of {', '.join(schema.model_fields)}"
        value = None if each["type"] == "missing" else _shown(each["input"])
        faults.append(Fault(place, name, value, field.description if field else known))
    return faults


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def many_segments(tail: str, call: str = "/v1/article", *, calls: bool = False) -> Problem:
    """Return the problem of a path of several segments, which may mean an id that holds a slash.

    Its detail names the addresses that are sure: of the call, and with `calls` of others on the article, too.
    """
    addresses = [f"{call}?id={quote(tail, safe='')}"]
    for suffix, other in _CALL_OF_SUFFIX.items():
        if calls and tail.endswith(suffix):
            addresses.append(f"{other}?id={quote(tail.removesuffix(suffix), safe='')}")
    detail = f"an id that holds a slash cannot stand in a path; ask {' or '.join(addresses)}"
    return Problem("not-found", detail, (Fault("path", "id", tail, "one segment of a path"),))
