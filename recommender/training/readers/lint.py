"""Check a corpus and report problems, with advice on how to fix them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from itertools import islice
from math import ceil

from recommender.article import Article
from recommender.boilerplate import recurring_lines
from recommender.fields import LANGUAGE_CHARS
from recommender.summary import Summarized
from recommender.text import other_language, words
from recommender.training.readers.collected import Collected
from recommender.training.readers.corpus import Progress, Source, collect
from recommender.training.readers.report import ReadingReport, Refusal
from recommender.visibility import Decisions

THIN_BODY_WORDS = 30
EXAMPLES = 10  # of each finding
BOILERPLATE_ARTICLES = 5  # a line in at least this many articles, and in this share, is boilerplate
BOILERPLATE_SHARE = 0.001
LONG_BODY_CHARS = 2000  # bodies of this length are rarely thin, so counting words stops here
SHOWN_CHARS = 80


@dataclass(frozen=True, slots=True)
class Example:
    """One occurrence of a finding; without source and row if it concerns the whole corpus."""

    value: str
    source: str | None = None
    row: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem to fix: how often it occurs, the first examples, and advice."""

    kind: str  # such as "thin body" or "published_at: impossible date"
    count: int  # rows, articles, columns or lines, depending on the kind
    examples: tuple[Example, ...]
    advice: str


@dataclass(frozen=True, slots=True, repr=False)
class LintReport(Summarized):
    """All findings on a corpus: refused rows, then refused fields, then problems of the articles.

    >>> recommender.lint(corpus).findings
    ()
    """

    files: Mapping[str, int]  # rows read from each
    rows_read: int
    articles: int
    skipped: Mapping[str, int]  # drafts, WordPress pages, password-protected posts …
    notes: tuple[str, ...]  # how files were read, such as a detected encoding
    findings: tuple[Finding, ...]

    def summary(self) -> dict[str, str]:
        """Return the number of articles, and the count of each finding."""
        counts = {finding.kind: f"{finding.count:,}" for finding in self.findings}
        return {"Articles": f"{self.articles:,}", **counts}


def lint(
    *sources: Source,
    columns: Mapping[str, str] | None = None,
    timezone: str = "UTC",
    id_prefix: str = "",
    max_bad: float = 0.05,
    now: datetime | None = None,
    progress: Progress | None = None,
    decisions: Decisions | None = None,
    date_formats: Sequence[str] = (),
    site: str = "",
    types: Sequence[str] = ("post",),
) -> LintReport:
    """Return the problems of a corpus; the arguments are those of `read_articles`.

    Bad rows are findings, however many there are. Raises CorpusError only if a file cannot be read at all,
    and UndecidedError if a value is neither public nor hidden.

    >>> recommender.lint(recommender.sample_file())
    <LintReport: articles 259>
    """
    collected = collect(
        *sources,
        columns=columns,
        timezone=timezone,
        id_prefix=id_prefix,
        now=now,
        progress=progress,
        decisions=decisions,
        date_formats=date_formats,
        site=site,
        types=types,
    )
    report = collected.report
    findings = [
        _too_many(report, max_bad),
        *_refusals(report.refused_by_reason, report.refused),
        *_refusals(report.fields_refused, report.refused_fields),
        _unknown_columns(report.unknown_columns),
        *_bodies(collected),
        *_languages(collected),
        _missing(collected, "undated", "published_at"),
        _missing(collected, "missing category", "category"),
    ]
    return LintReport(
        files=report.files,
        rows_read=report.rows_read,
        articles=len(collected.articles),
        skipped=dict(report.skipped),
        notes=tuple(report.notes),
        findings=tuple(finding for finding in findings if finding.count),
    )


_ADVICE = {
    "too many refused rows": "Training stops at this share. Correct the rows, or allow more bad rows.",
    "missing id": "Give every article an id that never changes.",
    "bad id": "An id is text of 1 to 512 bytes or a whole number, without NUL, and is not '.' or '..'.",
    "duplicate id": "Use unique ids, and an id prefix for each site. The newest version is used.",
    "neither title nor body": "Remove the row, or check that its text is in the columns title and body.",
    "not JSON": "Write one JSON object on each line.",
    "no JSON object": "Write one JSON object on each line.",
    "not UTF-8": "Save the file as UTF-8.",
    "not UTF-16": "Save the whole file as UTF-8.",
    "not windows-1252": "Save the whole file as UTF-8.",
    "rounded id": "In the spreadsheet, format the column of ids as text before you open the original file.",
    "broken CSV": "Write as many fields as the header has, and double a quote inside a quoted field.",
    "impossible date": "Write dates as in 2024-05-31T08:00:00Z, or give --date-format. Without a readable "
    "published_at, the row is refused.",
    "wrong type": "Write the field as text, or as a list if it has several names.",
    "no web address": "Start the address with https:// or, within the site, with a slash.",
    "no two-letter language code": "Write the language as in en or pt-BR. It was detected instead.",
    "unknown columns": "Map them if they contain a field that we use. Otherwise they are ignored.",
    "empty body": "These articles are compared by their titles only. Check the column of the body.",
    "thin body": f"Bodies under {THIN_BODY_WORDS} words are too short. Check whether they are teasers.",
    "duplicate body": "Remove duplicates unless you need them: only one of them appears in a list.",
    "language mix": "Fine if intended: lists contain one language. Otherwise check the language that the "
    "article or its site states.",
    "language not known": "Set the column lang. The text is too short to detect the language.",
    "nested too deeply": "Flatten the record: an article needs few levels of objects and lists.",
    "may be a draft": "Export the field that says which records are public.",
    "broken rich text": "Export the posts again, or export their HTML.",
    "broken front matter": "Correct it. Until then nobody can know whether the post is a draft.",
    "neither true nor false": "Write true or false; only then it is clear whether the post is public.",
    "not a regular file": "Replace it by a copy of the post, or remove it.",
    "too large": "Split the file, or move data out of it.",
    "undated": "Add published_at: undated articles match no date filter and get no freshness boost.",
    "missing category": "Add a category: lists use it as a fallback if too few articles are related.",
    "boilerplate line": "Training leaves out lines that are in at least 1 % of the bodies. Remove the "
    "others: they make unrelated articles look similar.",
}


def _finding(kind: str, count: int, examples: Iterable[Example], reason: str = "") -> Finding:
    return Finding(kind, count, tuple(islice(examples, EXAMPLES)), _ADVICE[reason or kind])


def _too_many(report: ReadingReport, max_bad: float) -> Finding:
    too_many = report.refused_rows if report.refused_share > max_bad else 0
    summary = f"{report.refused_rows:,} of {report.rows_read:,} rows, {report.refused_share:.1%}"
    return _finding("too many refused rows", too_many, [Example(summary)])


def _refusals(counts: Counter[str], refusals: Sequence[Refusal]) -> Iterator[Finding]:
    for kind, count in counts.most_common():
        first = (refusal for refusal in refusals if refusal.reason == kind)
        examples = (Example(refusal.detail, refusal.source, refusal.row) for refusal in first)
        yield _finding(kind, count, examples, reason=kind.rpartition(": ")[2])


def _unknown_columns(columns: Counter[str]) -> Finding:
    examples = (Example(f"{name[:SHOWN_CHARS]} ({count:,} rows)") for name, count in columns.most_common())
    return _finding("unknown columns", len(columns), examples)


def _among_articles(collected: Collected, kind: str, notes: Mapping[int, str]) -> Finding:
    """Return a finding on the articles at these positions, with a note on each."""

    def examples() -> Iterator[Example]:
        for position, note in notes.items():
            article = collected.articles[position]
            title = f"{article.id}: {article.title}"[:SHOWN_CHARS]
            yield Example(f"{title} ({note})" if note else title, *collected.origin(position))

    return _finding(kind, len(notes), examples())


def _bodies(collected: Collected) -> Iterator[Finding]:
    bodies = [article.body for article in collected.articles]
    yield _among_articles(
        collected, "empty body", {position: "" for position, body in enumerate(bodies) if not body}
    )
    counts = {position: _word_count(body) for position, body in enumerate(bodies) if body}
    thin = {position: f"words: {count}" for position, count in counts.items() if count < THIN_BODY_WORDS}
    yield _among_articles(collected, "thin body", thin)
    first_of = _duplicates(bodies)
    duplicates = {position: f"as {collected.articles[first].id}" for position, first in first_of.items()}
    yield _among_articles(collected, "duplicate body", duplicates)
    yield _boilerplate([body for position, body in enumerate(bodies) if position not in first_of])


def _word_count(body: str) -> int:
    """Return the number of words of a body, or of the beginning of a long body that is not thin."""
    count = len(words(body[:LONG_BODY_CHARS]))
    return count if count >= THIN_BODY_WORDS or len(body) <= LONG_BODY_CHARS else len(words(body))


def _duplicates(bodies: Sequence[str]) -> dict[int, int]:
    """Return the first position of each repeated body, by its own; case and white space are ignored."""
    first_of: dict[bytes, int] = {}
    duplicate_of = {}
    for position, body in enumerate(bodies):
        digest = blake2b(" ".join(body.lower().split()).encode(), digest_size=16).digest()
        first = first_of.setdefault(digest, position)
        if body and first != position:
            duplicate_of[position] = first
    return duplicate_of


def _boilerplate(bodies: Sequence[str]) -> Finding:
    lines = recurring_lines(bodies, max(BOILERPLATE_ARTICLES, ceil(BOILERPLATE_SHARE * len(bodies))))
    examples = (Example(f"{line[:SHOWN_CHARS]} (in {count:,} articles)") for line, count in lines)
    return _finding("boilerplate line", len(lines), examples)


def _languages(collected: Collected) -> Iterator[Finding]:
    langs = [article.lang for article in collected.articles]
    main = Counter(lang for lang in langs if lang).most_common(1)
    notes = {
        position: note
        for position, article in enumerate(collected.articles)
        if article.lang and (note := _language_note(article, main[0][0], collected.default_langs))
    }
    yield _among_articles(collected, "language mix", notes)
    yield _among_articles(
        collected, "language not known", {at: "" for at, lang in enumerate(langs) if not lang}
    )


def _language_note(article: Article, main: str, default_langs: Mapping[str, str]) -> str:
    """Return what is mixed: the language of an article, and that of its text or site if it contradicts."""
    lang = article.lang or ""
    text = other_language(f"{article.title}\n{article.body[:LANGUAGE_CHARS]}", lang)
    contradicted = default_langs.get(article.id)
    if text:
        return f"{lang}, but the text is {text}"
    if contradicted:
        return f"{lang}, but the site states {contradicted}"
    return "" if lang == main else lang


def _missing(collected: Collected, kind: str, field: str) -> Finding:
    places = (
        position for position, article in enumerate(collected.articles) if getattr(article, field) is None
    )
    return _among_articles(collected, kind, dict.fromkeys(places, ""))
