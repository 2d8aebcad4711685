"""Labels: articles that belong together, as judged by people; read from CSV and matched with a model."""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from recommender.model import Articles
from recommender.summary import Summarized
from recommender.wrong_type import wrong_type

MAX_BAD = 0.05  # share of bad rows up to which the file is accepted
_HIGHEST_GRADE = 100


class LabelsError(ValueError):
    """The labels cannot be used; the message names the file, the row and the value.

    >>> recommender.read_labels("no-such-file.csv")
    Traceback (most recent call last):
    recommender.training.evaluation.labels.LabelsError: no-such-file.csv: No such file or directory
    """


@dataclass(frozen=True, repr=False)
class LabelFile(Summarized):
    """Labels by article id, from a file or from a caller: stories, or graded pairs.

    >>> labels = recommender.LabelFile.of_stories([("1001", "huts"), ("3012", "huts")])
    >>> sorted(labels.stories["huts"])
    ['1001', '3012']
    """

    source: str  # its name in messages
    stories: Mapping[str, frozenset[str]] = field(default_factory=dict)  # story → ids of its articles
    grades: Mapping[tuple[str, str], int] = field(default_factory=dict)  # (query, other) → 0 … 100
    bad_rows: int = 0

    def summary(self) -> dict[str, str]:
        """Return the source, and the number of stories, pairs and bad rows."""
        counts = {"Stories": len(self.stories), "Pairs": len(self.grades), "Bad rows": self.bad_rows}
        return {"Source": self.source, **{name: f"{count:,}" for name, count in counts.items() if count}}

    @classmethod
    def of_stories(cls, story_of: Iterable[tuple[str, str]], source: str = "the labels") -> "LabelFile":
        """Return labels from pairs of an article id and a story id; an article may be in several stories."""
        members = defaultdict(set)
        for article_id, story in story_of:
            members[story].add(article_id)
        return cls(source, {story: frozenset(ids) for story, ids in members.items()})


@dataclass(frozen=True)
class Judgements:
    """The relevant articles of each query, by the model's rows.

    A query is a labelled article with at least one relevant article. Articles linked by labels, directly or
    through other articles, form one story: they are resampled together.
    """

    grades: csr_array  # (n, n) int32; row: the query, column: a relevant article; nothing on the diagonal
    queries: np.ndarray  # (q,) int32, ascending rows
    stories: np.ndarray  # (q,) int32, numbers from 0
    unknown_ids: int  # labelled, but not among the articles

    def relevant(self, query: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows that are relevant to a query row, and their grades."""
        inside = slice(self.grades.indptr[query], self.grades.indptr[query + 1])
        return self.grades.indices[inside], self.grades.data[inside]


def read_labels(path: str | Path) -> LabelFile:
    """Read labels: CSV with the columns `id,story_id` or `a,b,grade`; other columns are ignored.

    A grade is a whole number from 0 (not related) to 100. A pair counts in both directions, unless the file
    grades the reverse pair separately. Bad rows are counted. Raises LabelsError if the file cannot be read,
    if the columns are missing, or if more than 5 % of the rows are bad; it names the first bad row.

    >>> labels = recommender.read_labels(recommender.sample_file("stories.csv"))
    >>> len(labels.stories)
    42
    """
    given: object = path
    if not isinstance(given, str | Path):
        cure = "call LabelFile.of_stories(zip(frame['id'], frame['story_id']))"
        raise wrong_type("read_labels", "the path of a file", path, cure)
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
    names = ", ".join(sorted(columns)) or "none"
    raise LabelsError(f"{path} has the columns {names}; labels need id,story_id or a,b,grade")


def check_labels(labels: LabelFile, ids: frozenset[str]) -> None:
    """Raise LabelsError, as `judgements` would, when no two of these articles belong together."""
    stories = any(len(members & ids) > 1 for members in labels.stories.values())
    if not stories and not any(grade and ids.issuperset(pair) for pair, grade in labels.grades.items()):
        raise LabelsError(f"{labels.source}: no two of the {len(ids):,} articles belong together")


def judgements(labels: LabelFile, articles: Articles) -> Judgements:
    """Match labels with articles. Raises LabelsError when no two of the articles belong together."""
    n = len(articles)
    ids: set[str] = {article_id for members in labels.stories.values() for article_id in members}
    ids |= {article_id for pair in labels.grades for article_id in pair}
    row_of = {
        article_id: row for article_id in sorted(ids) if (row := articles.ids.find(article_id)) is not None
    }
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
            bad.add(number, "pair", f"{a!r}, {b!r}: the two ids must be different")
        elif not 0 <= grade <= _HIGHEST_GRADE:
            bad.add(number, "grade", f"{text!r} is not a whole number from 0 to {_HIGHEST_GRADE}")
        elif grades.setdefault((a, b), grade) != grade:
            bad.add(number, "grade", f"{text!r}, but an earlier row says {grades[a, b]}")
    bad.check()
    return LabelFile(str(path), grades=grades, bad_rows=bad.count)


class _BadRows:
    """Counts the unusable rows and records the first of them for the error message."""

    def __init__(self, path: str | Path) -> None:
        self._path, self._first, self._rows = path, "", 0
        self._reasons: Counter[str] = Counter()

    def counted(self, rows: "csv.DictReader[str]") -> Iterator[tuple[int, dict[str, str]]]:
        """Yield each row with its line number; the header is line 1."""
        for row in rows:
            self._rows += 1
            yield rows.line_num, row

    def add(self, number: int, field: str, detail: str) -> None:
        self._reasons[field] += 1
        self._first = self._first or f"row {number}: {field}: {detail[:200]}"

    @property
    def count(self) -> int:
        return self._reasons.total()

    def check(self) -> None:
        if not self._rows:
            raise LabelsError(f"{self._path} contains no labels")
        if self.count > MAX_BAD * self._rows:
            raise LabelsError(
                f"{self._path}: {self.count:,} of {self._rows:,} rows are bad, "
                f"more than the {MAX_BAD:.0%} allowed; {self._first}"
            )


def _story_grades(stories: Mapping[str, frozenset[str]], row_of: Mapping[str, int], n: int) -> csr_array:
    """Return 1 for every pair of articles in one story, (n, n) int32."""
    members = [sorted(row_of[name] for name in ids if name in row_of) for ids in stories.values()]
    rows = np.array([row for story in members for row in story], dtype=np.int32)
    columns = np.repeat(np.arange(len(members), dtype=np.int32), [len(story) for story in members])
    belongs = csr_array((np.ones(len(rows), dtype=np.int32), (rows, columns)), shape=(n, len(members)))
    together = (belongs @ belongs.T).tocoo()
    return _off_diagonal(together.row, together.col, np.ones_like(together.data), n)


def _pair_grades(grades: Mapping[tuple[str, str], int], row_of: Mapping[str, int], n: int) -> csr_array:
    both_ways = {(b, a): grade for (a, b), grade in grades.items()} | dict(grades)
    known = [
        (row_of[a], row_of[b], grade)
        for (a, b), grade in both_ways.items()
        if grade and a in row_of and b in row_of
    ]
    rows, columns, values = np.array(known, dtype=np.int32).reshape(-1, 3).T
    return _off_diagonal(rows, columns, values, n)


def _off_diagonal(rows: np.ndarray, columns: np.ndarray, values: np.ndarray, n: int) -> csr_array:
    """Return the matrix of these cells without its diagonal, columns ascending in each row."""
    off = rows != columns
    matrix = csr_array(coo_array((values[off], (rows[off], columns[off])), shape=(n, n)))
    matrix.sort_indices()
    return matrix
