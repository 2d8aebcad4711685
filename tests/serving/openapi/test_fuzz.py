"""Two thousand generated requests get only documented responses; `make fuzz` sends ten times as many."""

from pathlib import Path

import pytest

from recommender.article import Article

CASES = 1_000  # of each of two tests, which can run in parallel

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning"),
]


@pytest.mark.parametrize("seed", [1, 2])
def test_no_generated_request_gets_an_undocumented_response(
    published: Path, sample_articles: list[Article], tmp_path: Path, seed: int
) -> None:
    # Schemathesis takes a second to import, and the fast tests also collect this file.
    from tests.serving.openapi.fuzz import fuzz, newsroom  # noqa: PLC0415

    with newsroom(published, tmp_path) as app:
        report = fuzz(app, sample_articles, CASES, seed, thorough=False)

    assert report.failures == {}
    assert report.errors == []
    assert not any(status >= 500 and status != 503 for status in report.statuses)
    assert report.cases >= CASES
    assert report.by_phase["stateful"] >= CASES // 5
    assert report.accepted >= 0.3
