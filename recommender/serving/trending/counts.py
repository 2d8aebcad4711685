"""One worker's copy of the counts, kept up to date by what has changed in the store."""

from dataclasses import dataclass

import numpy as np

from recommender.serving.store import Counts


@dataclass(frozen=True)
class Tally:
    """Counts by minute, article and type, each bucket once, in no order."""

    newest: int  # the number of the last change that is in it
    article_ids: tuple[str, ...]  # each once
    types: tuple[str, ...]  # each once
    minutes: np.ndarray  # (n,) int64 since 1970; of a merged bucket the first of its hour
    articles: np.ndarray  # (n,) int32, positions in `article_ids`
    kinds: np.ndarray  # (n,) int32, positions in `types`
    counts: np.ndarray  # (n,) int64

    @classmethod
    def of(cls, counts: Counts) -> "Tally":
        """Return the counts of a whole store."""
        return cls(
            newest=counts.newest,
            article_ids=counts.article_ids,
            types=counts.types,
            minutes=counts.minutes,
            articles=counts.articles,
            kinds=counts.kinds,
            counts=counts.counts,
        )

    def with_changes(self, changed: Counts) -> "Tally":
        """Return the tally with these counts, each in the place of its bucket's former one."""
        if changed.complete:
            return Tally.of(changed)
        if not len(changed.counts):
            return self
        article_ids, articles = _joined(self.article_ids, changed.article_ids, changed.articles)
        types, kinds = _joined(self.types, changed.types, changed.kinds)
        kept = np.ones(len(self.counts), dtype=bool)
        recent = np.flatnonzero(self.minutes >= changed.minutes.min())
        shape = (len(article_ids), len(types))
        replaced = _keys(changed.minutes, articles, kinds, shape)
        own = _keys(self.minutes[recent], self.articles[recent], self.kinds[recent], shape)
        kept[recent[np.isin(own, replaced)]] = False
        return Tally(
            newest=changed.newest,
            article_ids=article_ids,
            types=types,
            minutes=np.concatenate([self.minutes[kept], changed.minutes]),
            articles=np.concatenate([self.articles[kept], articles]),
            kinds=np.concatenate([self.kinds[kept], kinds]),
            counts=np.concatenate([self.counts[kept], changed.counts]),
        )


def _joined(
    names: tuple[str, ...], more: tuple[str, ...], codes: np.ndarray
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the names with those that are new behind, and positions in `more` as positions among them."""
    number_of = {name: number for number, name in enumerate(names)}
    table = np.array([number_of.setdefault(name, len(number_of)) for name in more], dtype=np.int32)
    return tuple(number_of), table[codes]


def _keys(minutes: np.ndarray, articles: np.ndarray, kinds: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a number for each bucket, (n,) int64; it has room for 300 billion pairs of article and type."""
    n_articles, n_types = shape
    return np.asarray((minutes.astype(np.int64) * n_articles + articles) * n_types + kinds)
