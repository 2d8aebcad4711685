"""The report of reading a corpus: every row and field that was refused or skipped."""

from collections import Counter
from dataclasses import dataclass, field

from recommender.summary import Summarized

DETAIL_CHARS = 300
MAX_EXAMPLES = 20  # stored for each reason; the others are only counted


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused row, or a refused field of a row."""

    source: str  # the file
    row: int  # from 1: the line in JSONL and CSV, the record in Parquet, the item in XML
    article_id: str | None  # None: the row has no valid id
    reason: str  # to group by, such as "missing id" or "published_at: impossible date"
    detail: str  # includes the value


@dataclass(slots=True, repr=False)
class ReadingReport(Summarized):
    """The result of reading. All refusals are counted; the first 20 of each reason are stored as examples."""

    files: dict[str, int] = field(default_factory=dict)  # rows read from each, in reading order
    rows_read: int = 0  # articles and refused rows, without skipped records
    refused: list[Refusal] = field(default_factory=list)
    refused_by_reason: Counter[str] = field(default_factory=Counter)
    refused_fields: list[Refusal] = field(default_factory=list)
    fields_refused: Counter[str] = field(default_factory=Counter)  # by "field: reason"; the article is read
    unknown_columns: Counter[str] = field(default_factory=Counter)  # number of rows that have each
    skipped: Counter[str] = field(default_factory=Counter)  # drafts, WordPress pages, protected posts …
    notes: list[str] = field(default_factory=list)  # how files were read, such as a detected encoding

    @property
    def refused_rows(self) -> int:
        """The number of refused rows, for all reasons."""
        return self.refused_by_reason.total()

    @property
    def refused_share(self) -> float:
        """The share of refused rows among all rows read, 0 if none were read."""
        return self.refused_rows / self.rows_read if self.rows_read else 0.0

    def refuse_row(self, refusal: Refusal) -> None:
        """Count a refused row, and store it if it is among the first of its reason."""
        _count(refusal, self.refused_by_reason, self.refused)

    def refuse_field(self, refusal: Refusal) -> None:
        """Count a refused field, and store it if it is among the first of its reason."""
        _count(refusal, self.fields_refused, self.refused_fields)

    def common_reasons(self) -> str:
        """Return the three most common reasons for refused rows, with counts and rows, for a message."""
        reasons = self.refused_by_reason.most_common(3)
        return "; ".join(self._describe_reason(reason, count) for reason, count in reasons)

    def _describe_reason(self, reason: str, count: int) -> str:
        first = [refusal for refusal in self.refused if refusal.reason == reason][:3]
        rows = ", ".join(f"row {refusal.row} of {refusal.source}" for refusal in first)
        more = ", …" if count > len(first) else ""
        return f"{reason} ({count}: {rows}{more}; {first[0].detail})"

    def summary(self) -> dict[str, str]:
        """Return how many rows were read, refused and skipped, and the most common reasons."""
        return {
            "Files": f"{len(self.files):,}",
            "Rows": f"{self.rows_read:,}",
            "Refused rows": _counted(self.refused_by_reason),
            "Refused fields": _counted(self.fields_refused),
            "Skipped": _counted(self.skipped),
        }


def _counted(counts: Counter[str]) -> str:
    reasons = "; ".join(f"{reason} {count:,}" for reason, count in counts.most_common(3))
    return f"{counts.total():,}" + (f" ({reasons}{'; …' if len(counts) > 3 else ''})" if reasons else "")  # noqa: PLR2004


def _count(refusal: Refusal, counts: Counter[str], examples: list[Refusal]) -> None:
    counts[refusal.reason] += 1
    if counts[refusal.reason] <= MAX_EXAMPLES:
        examples.append(refusal)
