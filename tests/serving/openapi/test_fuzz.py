"""Two thousand made-up requests break nothing of the contract; `make fuzz` asks ten times as many."""

from pathlib import Path

import pytest

from recommender.article import Article

CASES = 1_000  # of each of two tests, which run side by side

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning"),
]


@pytest.mark.parametrize("seed", [1, 2])
def test_no_made_up_request_breaks_the_contract(
    published: Path, sample_articles: list[Article], tmp_path: Path, seed: int
) -> None:
    # Schemathesis takes a second to import, and the fast tests collect this file, too.
    from tests.serving.openapi.fuzz import fuzz, newsroom  # noqa: PLC0415

    with newsroom(published, tmp_path) as app:
        found = fuzz(app, sample_articles, CASES, seed, thorough=False)

    assert found.failures == {}
    assert found.errors == []
    assert not any(status >= 500 and status != 503 for status in found.statuses)
    assert found.cases >= CASES
    assert found.by_phase["stateful"] >= CASES // 5
    assert found.accepted >= 0.3
