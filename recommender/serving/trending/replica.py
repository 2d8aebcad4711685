"""A worker's copy of the counts in the store, updated with the changes since its last read."""

from dataclasses import dataclass

import numpy as np

from recommender.serving.store import Counts


@dataclass(frozen=True)
class CountsReplica:
    """Counts by minute, article and type: one entry per bucket, in no order."""

    newest: int  # the number of the last change that it includes
    article_ids: tuple[str, ...]  # distinct
    types: tuple[str, ...]  # distinct
    minutes: np.ndarray  # (n,) int64 since 1970; for a merged bucket the first minute of its hour
    article_codes: np.ndarray  # (n,) int32, positions in `article_ids`
    type_codes: np.ndarray  # (n,) int32, positions in `types`
    counts: np.ndarray  # (n,) int64

    @classmethod
    def of(cls, counts: Counts) -> "CountsReplica":
        """Return a replica with exactly these counts."""
        return cls(
            newest=counts.newest,
            article_ids=counts.article_ids,
            types=counts.types,
            minutes=counts.minutes,
            article_codes=counts.article_codes,
            type_codes=counts.type_codes,
            counts=counts.counts,
        )

    def with_changes(self, changed: Counts) -> "CountsReplica":
        """Return a replica in which these counts replace the earlier counts of the same buckets."""
        if changed.complete:
            return CountsReplica.of(changed)
        if not len(changed.counts):
            return self
        article_ids, article_codes = _merged(self.article_ids, changed.article_ids, changed.article_codes)
        types, type_codes = _merged(self.types, changed.types, changed.type_codes)
        unchanged = np.ones(len(self.counts), dtype=bool)
        recent = np.flatnonzero(self.minutes >= changed.minutes.min())
        shape = (len(article_ids), len(types))
        changed_keys = _keys(changed.minutes, article_codes, type_codes, shape)
        recent_keys = _keys(self.minutes[recent], self.article_codes[recent], self.type_codes[recent], shape)
        unchanged[recent[np.isin(recent_keys, changed_keys)]] = False
        return CountsReplica(
            newest=changed.newest,
            article_ids=article_ids,
            types=types,
            minutes=np.concatenate([self.minutes[unchanged], changed.minutes]),
            article_codes=np.concatenate([self.article_codes[unchanged], article_codes]),
            type_codes=np.concatenate([self.type_codes[unchanged], type_codes]),
            counts=np.concatenate([self.counts[unchanged], changed.counts]),
        )


def _merged(
    names: tuple[str, ...], other_names: tuple[str, ...], other_codes: np.ndarray
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the names followed by the new ones, and `other_codes` converted to positions among all."""
    code_of = {name: code for code, name in enumerate(names)}
    table = np.array([code_of.setdefault(name, len(code_of)) for name in other_names], dtype=np.int32)
    return tuple(code_of), table[other_codes]


def _keys(
    minutes: np.ndarray, article_codes: np.ndarray, type_codes: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Return a distinct number for each bucket, (n,) int64, for up to 300 billion (article, type) pairs."""
    n_articles, n_types = shape
    return np.asarray((minutes.astype(np.int64) * n_articles + article_codes) * n_types + type_codes)
