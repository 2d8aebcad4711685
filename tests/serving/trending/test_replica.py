"""A replica of the counts equals those in the store after any changes."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recommender.serving.store import Counts
from recommender.serving.trending.replica import CountsReplica

Bucket = tuple[int, str, str]  # minute, article, type


def counts_of(buckets: dict[Bucket, int], *, newest: int = 1, complete: bool = False) -> Counts:
    """Return the buckets in the form that the store returns, with names in reverse order."""
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
        article_codes=np.array([articles.index(article) for _, article, _ in buckets], dtype=np.int32),
        types=tuple(types),
        type_codes=np.array([types.index(event_type) for _, _, event_type in buckets], dtype=np.int32),
        counts=np.array(list(buckets.values()), dtype=np.int64),
    )


def buckets_of(replica: CountsReplica) -> dict[Bucket, int]:
    columns = zip(
        replica.minutes, replica.article_codes, replica.type_codes, replica.counts.tolist(), strict=True
    )
    pairs = [((int(m), replica.article_ids[a], replica.types[t]), n) for m, a, t, n in columns]
    assert max(Counter(bucket for bucket, _ in pairs).values(), default=1) == 1
    return dict(pairs)


BUCKETS = st.dictionaries(
    st.tuples(st.integers(0, 5), st.sampled_from("abcd"), st.sampled_from(["view", "like", "share"])),
    st.integers(1, 9),
    max_size=12,
)


@given(BUCKETS, st.lists(BUCKETS, max_size=4))
def test_changes_replace_the_counts_of_the_same_buckets(
    whole: dict[Bucket, int], changes: list[dict[Bucket, int]]
) -> None:
    replica = CountsReplica.of(counts_of(whole, complete=True))
    for changed in changes:
        replica = replica.with_changes(counts_of(changed))
        whole |= changed

    assert buckets_of(replica) == whole


def test_complete_counts_replace_all_others() -> None:
    replica = CountsReplica.of(counts_of({(1, "a", "view"): 3}, newest=7))

    replica = replica.with_changes(counts_of({(2, "b", "like"): 1}, newest=5, complete=True))

    assert (replica.newest, buckets_of(replica)) == (5, {(2, "b", "like"): 1})
