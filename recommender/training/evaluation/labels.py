"""Labels: which articles people say belong together, read from CSV and matched with a model's articles."""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from recommender.model import Articles

MAX_BAD = 0.05  # share of bad rows that is still counted rather than refused
_HIGHEST_GRADE = 100


class LabelsError(ValueError):
    """Labels that cannot be used; the message names the file, the row and the value."""


@dataclass(frozen=True)
class LabelFile:
    """Labels by article id, as a file or a caller gives them: stories, or graded pairs."""

    source: str  # what messages call it
    stories: Mapping[str, frozenset[str]] = field(default_factory=dict)  # story to the ids of its articles
    grades: Mapping[tuple[str, str], int] = field(default_factory=dict)  # (query, other) to 0 … 100
    bad_rows: int = 0

    @classmethod
    def of_stories(cls, story_of: Iterable[tuple[str, str]], source: str = "the labels") -> "LabelFile":
        """Return labels out of pairs of an article id and a story id; an article may be in several."""
        members = defaultdict(set)
        for article_id, story in story_of:
            members[story].add(article_id)
        return cls(source, {story: frozenset(ids) for story, ids in members.items()})


@dataclass(frozen=True)
class Judgements:
    """What is right for each query, by the model's rows.

    A query is a labelled article with at least one other that is right for it. Articles that are linked by
    labels, however many steps apart, make up one story: they are resampled together.
    """

    grades: csr_array  # (n, n) int32; row: the query, column: what is right for it; nothing on the diagonal
    queries: np.ndarray  # (q,) int32, ascending rows
    stories: np.ndarray  # (q,) int32, numbers from 0
    unknown_ids: int  # labelled, but not among the articles

    def right(self, query: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows that are right for a query row, and their grades."""
        inside = slice(self.grades.indptr[query], self.grades.indptr[query + 1])
        return self.grades.indices[inside], self.grades.data[inside]


def read_labels(path: str | Path) -> LabelFile:
    """Read labels: CSV with the columns `id,story_id`, or `a,b,grade`; other columns are let be.

    A grade is a whole number from 0 (not related) to 100; a pair counts both ways, unless the file also
    grades it the other way round. A bad row is counted. Raises LabelsError for a file that cannot be read,
    for other columns, and when more than 5 % of the rows are bad, naming the first.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            columns = set(rows.fieldnames or ())
            if columns >= {"id", "story_id"}:
                return _stories(path, rows)
            if columns >= {"a", "b", "grade"}:
                return _pairs(path, rows)
    except OSError as error:
        raise LabelsError(f"{path}: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise LabelsError(f"{path} is not CSV in UTF-8: {error}") from error
    found = ", ".join(sorted(columns)) or "none"
    raise LabelsError(f"{path} has the columns {found}; labels have id,story_id or a,b,grade")


def check_labels(labels: LabelFile, ids: frozenset[str]) -> None:
    """Raise LabelsError when no two of these articles belong together, as `judgements` would."""
    stories = any(len(members & ids) > 1 for members in labels.stories.values())
    if not stories and not any(grade and ids.issuperset(pair) for pair, grade in labels.grades.items()):
        raise LabelsError(f"{labels.source}: no two of the {len(ids):,} articles belong together")


def judgements(labels: LabelFile, articles: Articles) -> Judgements:
    """Match labels with articles; raises LabelsError when no two of the articles belong together."""
    n = len(articles)
    ids: set[str] = {one for members in labels.stories.values() for one in members}
    ids |= {one for pair in labels.grades for one in pair}
    row_of = {one: row for one in sorted(ids) if (row := articles.ids.find(one)) is not None}
    grades = _story_grades(labels.stories, row_of, n).maximum(_pair_grades(labels.grades, row_of, n))
    if not grades.nnz:
        raise LabelsError(
            f"{labels.source}: no two of the {n:,} articles belong together; "
            f"{len(ids) - len(row_of):,} of {len(ids):,} labelled ids are not among them"
        )
    queries = np.flatnonzero(np.diff(grades.indptr)).astype(np.int32)
    linked = connected_components(grades, directed=False)[1]
    stories = np.unique(linked[queries], return_inverse=True)[1].astype(np.int32)
    return Judgements(grades, queries, stories, len(ids) - len(row_of))


def _stories(path: str | Path, rows: "csv.DictReader[str]") -> LabelFile:
    bad = _BadRows(path)
    members = []
    for number, row in bad.counted(rows):
        article_id, story = row["id"], row["story_id"]
        if article_id and story:
            members.append((article_id, story))
        else:
            bad.add(number, "id" if not article_id else "story_id", "missing")
    bad.check()
    return LabelFile(str(path), LabelFile.of_stories(members).stories, bad_rows=bad.count)


def _pairs(path: str | Path, rows: "csv.DictReader[str]") -> LabelFile:
    bad = _BadRows(path)
    grades: dict[tuple[str, str], int] = {}
    for number, row in bad.counted(rows):
        a, b, text = row["a"], row["b"], row["grade"] or ""
        grade = int(text) if text.isascii() and text.isdecimal() and len(text) <= len("100") else -1
        if not a or not b or a == b:
            bad.add(number, "pair", f"{a!r}, {b!r}: two different ids are needed")
        elif not 0 <= grade <= _HIGHEST_GRADE:
            bad.add(number, "grade", f"{text!r} is not a whole number from 0 to {_HIGHEST_GRADE}")
        elif grades.setdefault((a, b), grade) != grade:
            bad.add(number, "grade", f"{text!r}, where an earlier row says {grades[a, b]}")
    bad.check()
    return LabelFile(str(path), grades=grades, bad_rows=bad.count)


class _BadRows:
    """Counts rows that cannot be used, and keeps the first for the message."""

    def __init__(self, path: str | Path) -> None:
        self._path, self._first, self._rows = path, "", 0
        self._reasons: Counter[str] = Counter()

    def counted(self, rows: "csv.DictReader[str]") -> Iterator[tuple[int, dict[str, str]]]:
        """Yield each row with the number of its line, the header being 1."""
        for row in rows:
            self._rows += 1
            yield rows.line_num, row

    def add(self, number: int, what: str, detail: str) -> None:
        self._reasons[what] += 1
        self._first = self._first or f"row {number}: {what}: {detail[:200]}"

    @property
    def count(self) -> int:
        return self._reasons.total()

    def check(self) -> None:
        if not self._rows:
            raise LabelsError(f"{self._path} holds no labels")
        if self.count > MAX_BAD * self._rows:
            raise LabelsError(
                f"{self._path}: {self.count:,} of {self._rows:,} rows are bad, "
                f"more than the {MAX_BAD:.0%} allowed; {self._first}"
            )


def _story_grades(stories: Mapping[str, frozenset[str]], row_of: Mapping[str, int], n: int) -> csr_array:
    """Return 1 for every two articles of one story, (n, n) int32."""
    members = [sorted(row_of[one] for one in ids if one in row_of) for ids in stories.values()]
    rows = np.array([row for story in members for row in story], dtype=np.int32)
    columns = np.repeat(np.arange(len(members), dtype=np.int32), [len(story) for story in members])
    belongs = csr_array((np.ones(len(rows), dtype=np.int32), (rows, columns)), shape=(n, len(members)))
    together = (belongs @ belongs.T).tocoo()
    return _others(together.row, together.col, np.ones_like(together.data), n)


def _pair_grades(grades: Mapping[tuple[str, str], int], row_of: Mapping[str, int], n: int) -> csr_array:
    both_ways = {(b, a): grade for (a, b), grade in grades.items()} | dict(grades)
    known = [
        (row_of[a], row_of[b], grade)
        for (a, b), grade in both_ways.items()
        if grade and a in row_of and b in row_of
    ]
    rows, columns, values = np.array(known, dtype=np.int32).reshape(-1, 3).T
    return _others(rows, columns, values, n)


def _others(rows: np.ndarray, columns: np.ndarray, values: np.ndarray, n: int) -> csr_array:
    """Return the matrix of these cells, columns ascending in each row, less its diagonal."""
    off = rows != columns
    found = csr_array(coo_array((values[off], (rows[off], columns[off])), shape=(n, n)))
    found.sort_indices()
    return found
