"""Which rows are public: the columns that say so, the meaning of their values, and undecided values.

Visibility fails closed. A row is hidden if any of its visibility columns says so. A value that may mean
either stops the run, unless its column is about something else, such as a `state` of place names.
"""

import re
import shlex
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from functools import lru_cache
from typing import Any

MAX_VALUES = 100  # undecided values stored for each column
MAX_SHOWN = 10  # of them in a message
MAX_CHARS = 40  # of a value in a reason or a message


class Kind(Enum):
    """What the values of a visibility column look like."""

    WORDS = "words such as draft"
    WORDPRESS = "WordPress's own status, where only `publish` is public"
    PUBLIC_FLAG = "true: public"
    HIDDEN_FLAG = "true: hidden"
    PASSWORD = "every value hides the row"  # noqa: S105 not a password


@dataclass(frozen=True, slots=True)
class Verdict:
    """The meaning of a value: public, hidden for a reason, or undecided.

    `counts` says whether the value shows that its column is about visibility. Undecided values matter only in
    columns that count.
    """

    hidden: str = ""
    is_decided: bool = True
    counts: bool = True
    needs_date: bool = False  # public from its date on


@dataclass(frozen=True, slots=True)
class Decisions:
    """What the user decided: the public values of some columns, and columns that are not about visibility.

    If a column has a list of public values, all its other values are hidden. The names and values are those
    of `column_name` and `word_of`.
    """

    public: Mapping[str, frozenset[str]] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()

    @classmethod
    def of(cls, public: Mapping[str, Iterable[str]], ignored: Iterable[str] = ()) -> "Decisions":
        """Return the decisions for columns and values in any spelling."""
        words = {column_name(name): frozenset(map(word_of, values)) for name, values in public.items()}
        return cls(words, frozenset(map(column_name, ignored)))

    def is_visibility_column(self, name: str) -> bool:
        """Return whether a column of this name may say which rows are public."""
        canonical = column_name(name)
        return canonical not in self.ignored and (canonical in KIND_OF or canonical in self.public)


class UndecidedError(ValueError):
    """Values of visibility columns that are neither public nor hidden; the message names the option."""


@lru_cache(maxsize=4096)
def column_name(name: str) -> str:
    """Return a column's name without case, spaces and punctuation: `Post Status` is `poststatus`."""
    return "".join(letter for letter in unicodedata.normalize("NFKC", name).casefold() if letter.isalnum())


def word_of(value: Any) -> str:
    """Return a value as compared: lower case, with single spaces, `1.0` as `1`; missing values are empty."""
    while (isinstance(value, list | tuple) and len(value) == 1) or (
        isinstance(value, Mapping) and set(value) == {"value"}
    ):
        value = value["value"] if isinstance(value, Mapping) else value[0]
    if value is None or (isinstance(value, float) and value != value):  # noqa: PLR0124 - NaN
        return ""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if not isinstance(value, str | int | float | date):
        value = repr(value)
    text = unicodedata.normalize("NFKC", str(value)[: 4 * MAX_CHARS]).casefold().strip()
    word = re.sub(r"(?<=\w)[\s_-]+(?=[^\W_])", " ", text)  # `auto-draft`; but `-2` is not `2`
    return word[:-2] if re.fullmatch(r"\d+\.0", word) else word[:MAX_CHARS]


def verdict(name: str, value: Any, decisions: Decisions | None = None) -> Verdict:
    """Return the meaning of a value in the visibility column `name`."""
    canonical = column_name(name)
    if KIND_OF.get(canonical) is Kind.PASSWORD:
        return Verdict() if word_of(value) == "" and not _is_blank_text(value) else Verdict("password")
    listed = None if decisions is None else decisions.public.get(canonical)
    return _verdict(canonical, word_of(value), _shown(value), listed)


def why_hidden(values: Mapping[str, Any], *, is_dated: bool) -> str:
    """Return why a row with these visibility columns is not public, or an empty string if it is public.

    For single articles, whose columns cannot be compared with others: an undecided value hides the article.
    """
    for name, value in values.items():
        meaning = verdict(name, value)
        if meaning.hidden or not meaning.is_decided or (meaning.needs_date and not is_dated):
            return meaning.hidden or _shown(value) or "empty"
    return ""


def publication_date(columns: Iterable[tuple[str, Any]]) -> Any:
    """Return the value of a column `published` if it looks like a date, else None."""
    values = (value for name, value in columns if column_name(name) == "published")
    return next((value for value in values if _looks_like_date(value)), None)


class Visibility:
    """Decides row by row which are public, and remembers the values that nobody has decided."""

    def __init__(self, decisions: Decisions | None = None) -> None:
        self.decisions = decisions or Decisions()
        self.counting: set[str] = set()  # names of columns that turned out to be about visibility
        self._spelling: dict[str, str] = {}  # of each column in the first row that has it
        self._undecided: dict[str, Counter[str]] = {}
        self._first_row: dict[tuple[str, str], str] = {}
        self._public: dict[str, dict[str, None]] = {}  # public values seen, for the advice
        self._dated: set[str] = set()  # columns with publication dates

    def why_hidden(self, columns: Sequence[tuple[str, Any]], *, is_dated: bool, place: str) -> str:
        """Return why a row is not public, or an empty string if it is public or undecided."""
        reason = ""
        for spelling, value in columns:
            name = column_name(spelling)
            self._spelling.setdefault(name, spelling)
            if name == "published" and _looks_like_date(value):
                self._dated.add(name)
                continue
            meaning = verdict(name, value, self.decisions)
            if meaning.counts:
                self.counting.add(name)
            if not meaning.is_decided:
                self._remember(name, value, place)
            elif meaning.hidden or (meaning.needs_date and not is_dated):
                reason = reason or meaning.hidden or _shown(value)
            elif (word := word_of(value)) and len(self._public.get(name, ())) < MAX_SHOWN:
                self._public.setdefault(name, {}).setdefault(word)
        return reason

    def check(self) -> None:
        """Raise UndecidedError if a column that counts has undecided values, or a listed column is absent."""
        faults = [
            self._describe(name) for name, values in self._undecided.items() if self._matters(name, values)
        ]
        missing = sorted(set(self.decisions.public) - set(self._spelling))
        faults += [f"--public {name}=…: no row has a column {name!r}; check the name" for name in missing]
        if faults:
            raise UndecidedError("; ".join(faults))

    def _remember(self, name: str, value: Any, place: str) -> None:
        values = self._undecided.setdefault(name, Counter())
        shown = _shown(value)
        if shown in values or len(values) < MAX_VALUES:
            values[shown] += 1
            self._first_row.setdefault((name, shown), place)

    def _matters(self, name: str, values: Counter[str]) -> bool:
        # Among dates, an empty value is a missing date; among flags, it may be an unticked box.
        return name in self.counting or (name in self._dated and any(values))

    def _describe(self, name: str) -> str:
        values = self._undecided[name]
        first = list(values)[:MAX_SHOWN]
        shown = ", ".join(
            f"{value!r} ({values[value]:,} rows, first {self._first_row[name, value]})" for value in first
        )
        more = ", …" if len(values) > len(first) else ""
        public = dict.fromkeys([*self._public.get(name, ()), *filter(None, map(word_of, first))])
        spelling = self._spelling[name]
        listed = shlex.quote(f"{spelling}={','.join(public)}")
        if name in self._dated and name not in self.counting:
            return (
                f"column {spelling!r} has publication dates, but also {shown}{more}. If these are unreadable "
                f"dates, refuse their rows with --map {shlex.quote(f'published_at={spelling}')}; or, if the "
                f"column is about something else: --not-visibility {shlex.quote(spelling)}"
            )
        return (
            f"column {spelling!r} decides which rows are public, but these values are neither known to be "
            f"public nor known to be hidden: {shown}{more}. List the values that are public, such as "
            f"--public {listed}; all others are then hidden. Or, if the column is not about visibility: "
            f"--not-visibility {shlex.quote(spelling)}"
        )


# Statuses of articles that are public now, and that become public on their date.
PUBLIC = frozenset({"", "publish", "published", "public", "live"})
SCHEDULED = frozenset({"future", "scheduled"})

_MORE_PUBLIC = frozenset(
    "online visible true yes veröffentlicht publié publiée publicado publicada pubblicato pubblicata "
    "gepubliceerd julkaistu publicerad opublikowane opublikowany publikováno".split()
)
_HIDDEN = frozenset(
    {
        *"draft drafts private trash trashed deleted hidden inherit unpublished unpublish unlisted".split(),
        *"archived pending review embargo embargoed spam rejected expired withdrawn retracted".split(),
        *"removed disabled inactive internal confidential password protected locked offline pitch".split(),
        *"wip staged staging preview suspended blocked submitted killed incomplete invisible false".split(),
        *"no 0 entwurf brouillon borrador bozza concept luonnos utkast szkic koncept rascunho".split(),
        *("auto draft", "pending review", "in review", "needs review", "ready for review", "in progress"),
        *("work in progress", "not public", "not published", "password protected"),
    }
)
# Words about visibility that publishers use in both ways.
_AMBIGUOUS = frozenset("1 members paid subscribers premium restricted approved".split())
_TRUE = frozenset("1 true t yes y on checked x ✓ ja oui si sí".split())
_FALSE = frozenset("0 false f no n off unchecked nein non".split())

KIND_OF = {
    **dict.fromkeys(
        (
            *("status", "poststatus", "state", "poststate", "visibility", "postvisibility", "articlestatus"),
            *("contentstatus", "entrystatus", "pagestatus", "publishstatus", "publishingstatus"),
            *("publicationstatus", "publishedstatus", "workflowstatus", "workflowstate", "moderationstatus"),
            *("moderationstate", "publishstate", "publicationstate", "editorialstatus", "bloggerstatus"),
            *("statusname", "statuslabel", "statustext", "workflow"),
        ),
        Kind.WORDS,
    ),
    **dict.fromkeys(
        (
            "published",
            "ispublished",
            "public",
            "ispublic",
            "live",
            "islive",
            "visible",
            "isvisible",
            "online",
            "isonline",
        ),
        Kind.PUBLIC_FLAG,
    ),
    **dict.fromkeys(
        (
            *("draft", "isdraft", "private", "isprivate", "hidden", "ishidden", "unpublished", "deleted"),
            *("isdeleted", "trashed", "istrashed", "embargoed", "isembargoed", "unlisted", "protected"),
            *("isprotected", "passwordprotected", "ispasswordprotected", "appdraft"),
        ),
        Kind.HIDDEN_FLAG,
    ),
    **dict.fromkeys(("password", "postpassword", "wppostpassword", "articlepassword"), Kind.PASSWORD),
    "wpstatus": Kind.WORDPRESS,
}
_ALWAYS_COUNT = frozenset({"status", "poststatus"})  # fail closed even without a known value


@lru_cache(maxsize=4096)
def _verdict(name: str, word: str, shown: str, listed: frozenset[str] | None) -> Verdict:
    kind = KIND_OF.get(name, Kind.WORDS)
    if listed is not None:
        return Verdict(needs_date=word in SCHEDULED) if word in listed else Verdict(_reason(name, shown))
    if kind is Kind.WORDPRESS:
        return Verdict() if word == "publish" else Verdict(shown or "no status")
    if kind in {Kind.PUBLIC_FLAG, Kind.HIDDEN_FLAG} and word in _TRUE | _FALSE:
        is_public = (word in _TRUE) is (kind is Kind.PUBLIC_FLAG)
        return Verdict() if is_public else Verdict(_reason(name, shown))
    if kind is Kind.HIDDEN_FLAG and _TIME.fullmatch(word):
        return Verdict(name)  # such as the time of deletion
    return _verdict_of_word(name, word, shown)


def _verdict_of_word(name: str, word: str, shown: str) -> Verdict:
    if word == "":
        # An unticked box is exported as an empty cell: it may mean that the row is not published.
        return Verdict(is_decided=KIND_OF.get(name) is not Kind.PUBLIC_FLAG, counts=False)
    if word in _HIDDEN:
        return Verdict(_reason(name, shown))
    is_public, is_scheduled = word in PUBLIC | _MORE_PUBLIC, word in SCHEDULED
    is_decided = is_public or is_scheduled
    counts = is_decided or word in _AMBIGUOUS or name in _ALWAYS_COUNT
    return Verdict(is_decided=is_decided, counts=counts, needs_date=is_scheduled)


def _reason(name: str, shown: str) -> str:
    """Return a reason to group by: a word such as `draft`, or a flag with its column."""
    has_word = bool(shown) and shown not in _TRUE | _FALSE and not _AMOUNT.fullmatch(shown)
    return shown if has_word else f"{name}: {shown or 'empty'}"


def _shown(value: Any) -> str:
    text = value.strip().lower()[:MAX_CHARS] if isinstance(value, str) else word_of(value)
    return "".join(letter if letter.isprintable() else "?" for letter in text)  # reasons reach terminals


def _is_blank_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _looks_like_date(value: Any) -> bool:
    if isinstance(value, date) or (isinstance(value, Mapping) and "$date" in value):
        return True
    if isinstance(value, int | float) and not isinstance(value, bool):
        return abs(value) >= 1e8  # noqa: PLR2004 epoch seconds; smaller numbers are flags or codes
    return isinstance(value, str) and sum(letter.isdigit() for letter in value) >= _DATE_DIGITS


_DATE_DIGITS = 4
_AMOUNT = re.compile(r"-?[\d.]+")
_TIME = re.compile(r"[\d:./ tz+]{8,}")  # as `word_of` returns it
