"""Which articles are unchanged since a version was published, and how far the corpus has drifted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recommender.article import Article
from recommender.model import Model
from recommender.provenance import Drift
from recommender.training.incremental.known_terms import KnownTerms

_COMPARED = 200  # unchanged articles whose unknown words are counted, too
_ENOUGH = 20  # new and changed articles; the words of fewer say nothing about the corpus


@dataclass(frozen=True)
class Changes:
    """The articles of a corpus beside those of a published version."""

    row_of: np.ndarray  # (n,) int64, the row in the version of each unchanged article, -1 for any other
    removed: int  # articles of the version that are no longer in the corpus

    @classmethod
    def of(cls, articles: Sequence[Article], model: Model) -> "Changes":
        """Compare the texts, languages and vectors of the articles with those of a version.

        A training computes nothing else from an article. The texts themselves are compared, which is as fast
        as comparing hashes and never wrong.
        """
        before, langs = model.articles, model.articles.langs
        old_row = {article_id: row for row, article_id in enumerate(before.ids)}
        lang_of = [*langs.names, None]  # code -1 is the last
        row_of = np.full(len(articles), -1, dtype=np.int64)
        present = 0
        for row, article in enumerate(articles):
            old = old_row.get(article.id)
            if old is None:
                continue
            present += 1
            if (
                lang_of[langs.codes[old]] == article.lang
                and before.bodies.bytes_at(old) == article.body.encode()
                and before.titles.bytes_at(old) == article.title.encode()
                and (before.vectors is None or before.vector(old) == article.vector)
            ):
                row_of[row] = old
        return cls(row_of, len(old_row) - present)

    @property
    def rows(self) -> np.ndarray:
        """The rows of the new and changed articles, ascending."""
        return np.flatnonzero(self.row_of < 0)

    @property
    def compared(self) -> np.ndarray:
        """Rows of up to 200 unchanged articles, evenly chosen, ascending."""
        unchanged = np.flatnonzero(self.row_of >= 0)
        return unchanged[:: max(1, -(-len(unchanged) // _COMPARED))]

    def drift(self, model: Model, changed: KnownTerms, compared: KnownTerms) -> Drift:
        """Return the drift of the corpus since the vocabulary of the model was fitted.

        Articles count once for every training that finds them new, changed or removed. The vocabulary lacks
        very rare and very frequent words, so the unknown words of new and changed articles count only as far
        as unchanged articles have fewer. Those of fewer than 20 articles do not count.
        """
        before = model.manifest.drift
        fitted = before.fitted if before else model.manifest.version
        earlier = before.changed_articles if before else 0
        now = len(self.rows)
        excess = 0.0
        if now >= _ENOUGH:
            excess = max(0.0, _share(changed) - _share(compared))
        total = earlier + now + self.removed
        unknown = excess * now + (before.unknown_terms * earlier if before else 0.0)
        return Drift(
            fitted=fitted,
            changed_articles=total,
            changed_share=min(1.0, total / len(self.row_of)),
            unknown_terms=unknown / max(earlier + now, 1),
        )


def _share(terms: KnownTerms) -> float:
    return float(terms.unknown.sum() / max(terms.words.sum(), 1))
