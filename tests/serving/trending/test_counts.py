"""A worker's copy of the counts is what the store holds, whatever came in between."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recommender.serving.store import Counts
from recommender.serving.trending.counts import Tally

Bucket = tuple[int, str, str]  # minute, article, type


def counts_of(buckets: dict[Bucket, int], *, newest: int = 1, complete: bool = False) -> Counts:
    """Return the buckets as the store gives them, names in an order of their own."""
    articles, types = (
        sorted({b[1] for b in buckets}, reverse=True),
        sorted({b[2] for b in buckets}, reverse=True),
    )
    return Counts(
        newest=newest,
        complete=complete,
        hours_until=0,
        minutes=np.array([minute for minute, _, _ in buckets], dtype=np.int64),
        article_ids=tuple(articles),
        articles=np.array([articles.index(article) for _, article, _ in buckets], dtype=np.int32),
        types=tuple(types),
        kinds=np.array([types.index(kind) for _, _, kind in buckets], dtype=np.int32),
        counts=np.array(list(buckets.values()), dtype=np.int64),
    )


def buckets_of(tally: Tally) -> dict[Bucket, int]:
    columns = zip(tally.minutes, tally.articles, tally.kinds, tally.counts.tolist(), strict=True)
    found = [((int(m), tally.article_ids[a], tally.types[k]), n) for m, a, k, n in columns]
    assert max(Counter(bucket for bucket, _ in found).values(), default=1) == 1
    return dict(found)


BUCKETS = st.dictionaries(
    st.tuples(st.integers(0, 5), st.sampled_from("abcd"), st.sampled_from(["view", "like", "share"])),
    st.integers(1, 9),
    max_size=12,
)


@given(BUCKETS, st.lists(BUCKETS, max_size=4))
def test_changes_take_the_place_of_the_same_buckets(
    whole: dict[Bucket, int], changes: list[dict[Bucket, int]]
) -> None:
    tally = Tally.of(counts_of(whole, complete=True))
    for changed in changes:
        tally = tally.with_changes(counts_of(changed))
        whole |= changed

    assert buckets_of(tally) == whole


def test_what_is_complete_takes_the_place_of_all() -> None:
    tally = Tally.of(counts_of({(1, "a", "view"): 3}, newest=7))

    tally = tally.with_changes(counts_of({(2, "b", "like"): 1}, newest=5, complete=True))

    assert (tally.newest, buckets_of(tally)) == (5, {(2, "b", "like"): 1})
