"""Editorial rules as editors write them: pins, blocks, boosts and caps, validated field by field.

Rules name articles by id, and categories by name or slug. Neither needs to exist yet.

A category may also be given under its former name, a section: `for_section`, `in_section` (of a boost) and
`per = "section"`.
A rule is returned and stored with the names that it was written with, so that older clients, and workers
with an older version on the same database, still read it.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from recommender.article_id import BodyArticleId

LEAST_FACTOR, GREATEST_FACTOR = 0.1, 10.0  # also for the product of all boosts of one article
MAX_SHOWN_CHARS = 100

_KINDS = "'pin', 'block', 'sensitive', 'boost' or 'cap'"
_LAST = ("reason", "author", "from", "until")  # the last keys of a rule in JSON


@dataclass(frozen=True, slots=True)
class RuleFault:
    """One invalid value: in which rule (by id or position), in which field, and what is allowed there."""

    rule: str
    field: str
    value: str | None  # None: missing
    allowed: str

    def __str__(self) -> str:
        """Return the fault in one line."""
        problem = "is missing" if self.value is None else f"is {self.value[:MAX_SHOWN_CHARS]!r}"
        return f"{self.rule}: {self.field} {problem}; allowed: {self.allowed}"


class RulesError(ValueError):
    """Invalid rules. `faults` contains every invalid value; it is empty if the file could not be read."""

    def __init__(self, message: str, faults: Sequence[RuleFault] = ()) -> None:
        super().__init__("\n".join([message, *map(str, faults)]))
        self.faults = tuple(faults)


def _parse_moment(value: object) -> object:
    """Return an aware moment, from TOML or ISO 8601. Without an offset it would be ambiguous."""
    parsed = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(parsed, datetime) or parsed.tzinfo is None:
        raise ValueError(value)
    return parsed.astimezone(UTC)


def _strip(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _collapse(value: object) -> object:
    """Return text with single spaces between words, as in the names of articles."""
    return " ".join(value.split()) if isinstance(value, str) else value


_IDS = "a list of 1 to 1000 article ids"
_Ids = Annotated[
    tuple[BodyArticleId, ...], Field(min_length=1, max_length=1000, strict=False, description=_IDS)
]
_MOMENT = "a date and time with a UTC offset, such as 2026-11-03T18:00:00Z"
_Moment = Annotated[datetime, BeforeValidator(_parse_moment)]
_Name = Annotated[
    str, BeforeValidator(_strip), Field(min_length=1, max_length=200, description="1 to 200 characters")
]
_Text = Annotated[
    str, BeforeValidator(_strip), Field(min_length=1, max_length=1000, description="1 to 1000 characters")
]
RuleId = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$",
        description="1 to 100 of the characters A-Z a-z 0-9 . _ -; the first is not a dot",
    ),
]
_AUTHOR = "the name of an author"
_CATEGORY = "the name or slug of a category"
_Category = Annotated[
    str, BeforeValidator(_collapse), Field(min_length=1, max_length=200, description=_CATEGORY)
]
_AuthorName = Annotated[
    str, BeforeValidator(_collapse), Field(min_length=1, max_length=200, description=_AUTHOR)
]
_DEPRECATED = {"deprecated": True}  # in the schema only: pydantic's own flag warns whenever a rule is read
_Factor = Annotated[
    float,
    Field(ge=LEAST_FACTOR, le=GREATEST_FACTOR, allow_inf_nan=False, description="a number from 0.1 to 10"),
]


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: RuleId
    reason: _Text
    author: _Name  # who wrote the rule
    begins: Annotated[_Moment | None, Field(alias="from", description=_MOMENT)] = None
    until: Annotated[_Moment | None, Field(description=_MOMENT)] = None

    @model_validator(mode="after")
    def _check_time(self) -> Self:
        if self.begins is not None and self.until is not None and self.until <= self.begins:
            raise _error("until", "a date and time after `from`")
        return self

    @field_serializer("begins", "until", when_used="json-unless-none")
    def _iso(self, moment: datetime) -> str:
        return moment.isoformat().replace("+00:00", "Z")

    def is_active(self, now: datetime) -> bool:
        """Return whether the rule is active at a moment: from `from` on, until just before `until`."""
        return (self.begins is None or self.begins <= now) and (self.until is None or now < self.until)

    def as_json(self) -> dict[str, Any]:
        """Return the rule as in HTTP and the database, with the names it was written with.

        Fields without a value are left out.
        """
        fields = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        first = {name: fields.pop(name) for name in ("id", "kind")}
        last = {name: fields.pop(name) for name in _LAST if name in fields}
        return first | fields | last


class _ListRule(_Rule):
    """A rule for the lists of one article, for those of one category, or for all lists."""

    for_article: Annotated[BodyArticleId | None, Field(description="an article id")] = None
    written_for_category: Annotated[_Category | None, Field(alias="for_category", description=_CATEGORY)] = (
        None
    )
    written_for_section: Annotated[
        _Category | None,
        Field(
            alias="for_section",
            description=f"{_CATEGORY}; the former name of for_category",
            json_schema_extra=_DEPRECATED,
        ),
    ] = None

    @property
    def for_category(self) -> str | None:
        """The category in whose lists the rule is active, by name or slug."""
        return self.written_for_section if self.written_for_category is None else self.written_for_category

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        if self.written_for_category is not None and self.written_for_section is not None:
            raise _error("for_section", "only one of for_category and for_section, its former name")
        if self.for_article is not None and self.for_category is not None:
            name = "for_section" if self.written_for_category is None else "for_category"
            raise _error(name, f"only one of for_article and {name}")
        return self


class _TargetRule(_Rule):
    """A rule about some articles, about all articles in a category, or about all articles by an author."""

    articles: Annotated[_Ids | None, Field(description=_IDS)] = None
    in_category: Annotated[_Category | None, Field(description=_CATEGORY)] = None
    by_author: Annotated[_AuthorName | None, Field(description=_AUTHOR)] = None

    @model_validator(mode="after")
    def _check_target(self) -> Self:
        _check_one_target(self.articles, self.in_category, self.by_author)
        return self


class Pin(_ListRule):
    """Show these articles first, in this order."""

    kind: Literal["pin"]
    articles: _Ids


class Block(_TargetRule, _ListRule):
    """Hide articles, or those in a category or by an author, in the lists of the rule, or everywhere."""

    kind: Literal["block"]


class Sensitive(_TargetRule):
    """Remove these articles, or all articles in a category or by an author, from every list."""

    kind: Literal["sensitive"]


class Boost(_Rule):
    """Multiply the scores of these articles, or of all articles in a category or by an author."""

    kind: Literal["boost"]
    articles: Annotated[_Ids | None, Field(description=_IDS)] = None
    written_in_category: Annotated[_Category | None, Field(alias="in_category", description=_CATEGORY)] = None
    written_in_section: Annotated[
        _Category | None,
        Field(
            alias="in_section",
            description=f"{_CATEGORY}; the former name of in_category",
            json_schema_extra=_DEPRECATED,
        ),
    ] = None
    by_author: Annotated[_AuthorName | None, Field(description=_AUTHOR)] = None
    factor: _Factor

    @property
    def in_category(self) -> str | None:
        """The category whose articles are boosted, by name or slug."""
        return self.written_in_section if self.written_in_category is None else self.written_in_category

    @model_validator(mode="after")
    def _check_target(self) -> Self:
        if self.written_in_category is not None and self.written_in_section is not None:
            raise _error("in_section", "only one of in_category and in_section, its former name")
        _check_one_target(self.articles, self.in_category, self.by_author)
        return self


class Cap(_Rule):
    """Limit how many articles of one category, or by one author, a list contains."""

    kind: Literal["cap"]
    written_per: Annotated[
        Literal["category", "author", "section"],
        Field(alias="per", description="'category' or 'author'"),
    ]
    at_most: Annotated[int, Field(ge=1, le=50, description="a whole number from 1 to 50")]

    @property
    def per(self) -> Literal["category", "author"]:
        """What the articles of a list are counted by."""
        return "category" if self.written_per == "section" else self.written_per


Rule = Pin | Block | Sensitive | Boost | Cap
TargetRule = Block | Sensitive | Boost  # about articles, or about a category or an author


def read_rule(given: object, name: str) -> Rule:
    """Return a rule from JSON or TOML. Raises RulesError; faults name the rule by its id, or else `name`."""
    rule_id = given.get("id") if isinstance(given, dict) else None
    name = f"rule {rule_id[:MAX_SHOWN_CHARS]!r}" if isinstance(rule_id, str) else name
    try:
        return _RULE.validate_python(given)
    except ValidationError as error:
        faults = [_fault(name, given, details) for details in error.errors(include_url=False)]
        by_field = {fault.field: fault for fault in reversed(faults)}  # the first fault of each field
        raise RulesError("invalid rule", list(reversed(by_field.values()))) from None


def read_set(given: Sequence[object], max_faults: int | None = None) -> tuple[Rule, ...]:
    """Return rules with distinct ids, in the given order. Raises RulesError with the faults of all rules.

    With `max_faults`, it stops at the rule after which there are so many.
    """
    rules: dict[str, Rule] = {}
    faults: list[RuleFault] = []
    for number, fields in enumerate(given, 1):
        if max_faults is not None and len(faults) >= max_faults:
            break
        try:
            rule = read_rule(fields, f"rule {number}")
        except RulesError as error:
            faults += error.faults
            continue
        if rule.id in rules:
            faults.append(RuleFault(f"rule {number}", "id", rule.id, "an id that no other rule has"))
        rules[rule.id] = rule
    if faults:
        raise RulesError(counted_faults(len(faults)), faults)
    return tuple(rules.values())


def to_json(rule: Rule) -> str:
    """Return a rule as stored in the database; equal rules give equal strings."""
    return json.dumps(rule.as_json(), ensure_ascii=False, separators=(",", ":"))


def read_stored(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[Rule, ...], tuple[str, ...]]:
    """Return the rules of the database, given as ids and JSON, and the ids of those that are invalid.

    An invalid rule was written by another version of the program.
    """
    rules: list[Rule] = []
    invalid: list[str] = []
    for rule_id, text in pairs:
        try:
            rules.append(read_rule(json.loads(text), rule_id))
        except ValueError:
            invalid.append(rule_id)
    return tuple(rules), tuple(invalid)


_RULE: TypeAdapter[Rule] = TypeAdapter(Annotated[Rule, Field(discriminator="kind")])
_KIND_OF: dict[str, type[_Rule]] = {
    "pin": Pin,
    "block": Block,
    "sensitive": Sensitive,
    "boost": Boost,
    "cap": Cap,
}


def _check_one_target(*targets: object) -> None:
    """Raise an error unless exactly one of articles, category and author is given."""
    if len(targets) - targets.count(None) != 1:
        raise _error("articles", "exactly one of articles, in_category and by_author")


def _error(field: str, allowed: str) -> PydanticCustomError:
    return PydanticCustomError("rule", "{allowed}", {"field": field, "allowed": allowed})


def _fault(rule: str, given: object, error: Any) -> RuleFault:
    """Return the fault that an error of pydantic describes."""
    if not isinstance(given, dict):
        return RuleFault(rule, "rule", shown_value(given), "a table of fields")
    if not error["loc"]:
        return RuleFault(rule, "kind", shown_value(given["kind"]) if "kind" in given else None, _KINDS)
    if error["type"] == "rule":
        field, allowed = error["ctx"]["field"], error["ctx"]["allowed"]
        return RuleFault(rule, field, shown_value(given[field]) if field in given else None, allowed)
    kind, name = error["loc"][0], str(error["loc"][1])
    fields = {field.alias or attribute: field for attribute, field in _KIND_OF[kind].model_fields.items()}
    value = None if error["type"] == "missing" else shown_value(error["input"])
    allowed = fields[name].description if name in fields else f"one of {', '.join(fields)}"
    return RuleFault(rule, name, value, allowed or _KINDS)


def shown_value(value: object) -> str:
    """Return a value as faults show it: text unchanged, others as JSON."""
    try:
        return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    except (RecursionError, ValueError):  # nested too deeply, or a number with too many digits
        return type(value).__name__


def counted_faults(faults: int) -> str:
    """Return how many faults there are, in words."""
    return "1 fault" if faults == 1 else f"{faults} faults"
