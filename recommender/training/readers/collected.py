"""Articles in the order of reading: of two with one id, one is refused."""

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from recommender.article import EARLIEST, Article
from recommender.fields import RefusedError, is_missing
from recommender.text import is_same_language, language_code
from recommender.training.readers.report import DETAIL_CHARS, ReadingReport, Refusal
from recommender.wrong_type import wrong_type


@dataclass(slots=True)
class Collected:
    """Articles in reading order, without duplicate ids, with the file and row of each."""

    report: ReadingReport = field(default_factory=ReadingReport)
    articles: list[Article] = field(default_factory=list)
    default_langs: dict[str, str] = field(default_factory=dict)  # by id, if the text contradicts its site
    _files: "array[int]" = field(default_factory=lambda: array("L"))  # positions in the report's files
    _rows: "array[int]" = field(default_factory=lambda: array("Q"))
    _position_of: dict[str, int] = field(default_factory=dict)  # by id
    _first_vector: tuple[str, int] = ("", 0)  # the id of the first article with a vector, and its length

    def origin(self, position: int) -> tuple[str, int]:
        """Return the file and the row of the article at this position."""
        return list(self.report.files)[self._files[position]], self._rows[position]

    def note_language(self, article: Article, values: Mapping[str, Any]) -> None:
        """Note the language that the site of an article states, if the article is in another one."""
        self.default_langs.pop(article.id, None)
        if not values.get("default_lang"):
            return
        default = language_code(str(values["default_lang"]))
        if (
            default
            and is_missing(values.get("lang"))
            and not is_same_language(default, article.lang or default)
        ):
            self.default_langs[article.id] = default

    def with_usable_vector(self, article: Article) -> tuple[Article, list[RefusedError]]:
        """Return an article; without a vector, and with an error, if the first one has another length."""
        if article.vector is None:
            return article, []
        length = len(article.vector)
        if not self._first_vector[1]:
            self._first_vector = article.id, length
        first, usual = self._first_vector
        if length == usual:
            return article, []
        detail = f"vector of article {article.id!r} has {length} numbers, that of {first!r} has {usual}"
        return replace(article, vector=None), [RefusedError("vector: another length", detail, article.id)]

    def add_articles(self, articles: Iterable[Any], source: str) -> None:
        """Add articles that are already read. Raises TypeError if one is of another type."""
        self.report.files[source] = 0
        for number, article in enumerate(articles, 1):
            if not isinstance(article, Article):
                cure = "for rows, call read_articles(pandas.DataFrame(rows))"
                raise wrong_type("read_articles", "articles", article, cure)
            self.report.rows_read += 1
            self.report.files[source] += 1
            self.add(article, source, number)

    def add(self, article: Article, source: str, row: int) -> None:
        """Add an article from the current file; of two articles with one id, refuse one as a duplicate."""
        position = self._position_of.get(article.id)
        if position is None:
            self._position_of[article.id] = len(self.articles)
            self.articles.append(article)
            self._files.append(len(self.report.files) - 1)
            self._rows.append(row)
            return
        winner, loser = self.origin(position), (source, row)
        if (article.updated_at or EARLIEST) > (self.articles[position].updated_at or EARLIEST):
            winner, loser = loser, winner
            self.articles[position], self._files[position], self._rows[position] = (
                article,
                len(self.report.files) - 1,
                row,
            )
        detail = f"row {winner[1]} of {winner[0]} is used for {article.id!r}"
        self.report.refuse_row(Refusal(*loser, article.id, "duplicate id", detail[:DETAIL_CHARS]))
