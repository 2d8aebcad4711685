"""The quality gate: bounds, guards, comparisons; three sabotages are refused, an honest retrain passes."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from importlib.resources import as_file, files

import numpy as np
import pytest

from recommender.article import Article
from recommender.model import Model
from recommender.neighbors import NO_ROW
from recommender.recipe import Gate, Recipe, Terms
from recommender.topic_space import TopicSpace
from recommender.training.evaluation.evaluate import Estimate, EvaluationReport, evaluate
from recommender.training.evaluation.labels import LabelFile, read_labels
from recommender.training.readers.report import ReadingReport, Refusal
from recommender.training.release.gate import Check, Comparison, Guard, Verdict, judge, overlaps
from recommender.training.release.previous import Baseline, SharedLists
from recommender.training.topics.latent import LatentSpace
from recommender.training.train import Trained, train
from tests.support.sample import NOW


def sample_recipe() -> Recipe:
    with as_file(files("recommender") / "sample" / "recipe.toml") as path:
        return Recipe.from_toml(path)


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def labels() -> LabelFile:
    with as_file(files("recommender") / "sample" / "stories.csv") as path:
        return read_labels(path)


@pytest.fixture(scope="module")
def report(trained: Trained, labels: LabelFile) -> EvaluationReport:
    return evaluate(trained.model, labels, now=NOW, resamples=100)


def with_bounds(model: Model, **bounds: float) -> Model:
    """Return the model with these bounds in its recipe."""
    recipe = model.manifest.recipe.model_copy(update={"gate": Gate(**bounds)})  # type: ignore[arg-type]
    return replace(model, manifest=model.manifest.model_copy(update={"recipe": recipe}))


def judged(model: Model, baseline: Baseline | None = None, labels: LabelFile | None = None) -> Verdict:
    measured = evaluate(model, labels, now=NOW, resamples=100)
    return judge(model, measured, baseline=baseline, labels=labels)


def failed(verdict: Verdict) -> set[str]:
    """Return the names of the failed checks, guards and comparisons."""
    results: list[Check | Guard | Comparison] = [*verdict.checks, *verdict.guards, *verdict.comparisons]
    return {result.name for result in results if not result.passed}


def without(articles: Sequence[Article], share: float, seed: int) -> list[Article]:
    gone = np.random.default_rng(seed).choice(len(articles), round(share * len(articles)), replace=False)
    return [article for row, article in enumerate(articles) if row not in set(gone.tolist())]


def with_bodies_swapped(articles: Sequence[Article], share: float, seed: int) -> list[Article]:
    rows = np.random.default_rng(seed).choice(len(articles), round(share * len(articles)), replace=False)
    swapped = list(articles)
    for row, other in zip(rows.tolist(), np.roll(rows, 1).tolist(), strict=True):
        swapped[row] = replace(articles[row], body=articles[other].body)
    return swapped


def with_latent_space_shuffled(articles: Sequence[Article], patch: pytest.MonkeyPatch) -> Model:
    project = LatentSpace.project

    def shuffled(space: LatentSpace, rows: object, threads: int) -> np.ndarray:
        latent = project(space, rows, threads)  # type: ignore[arg-type]
        return np.asarray(latent[np.random.default_rng(1).permutation(len(latent))])

    patch.setattr(LatentSpace, "project", shuffled)
    return train(articles, now=NOW).model


@pytest.fixture(scope="module")
def titleless(sample_articles: list[Article]) -> Model:
    return train(sample_articles, Recipe(terms=Terms(title_weight=0)), now=NOW).model


@pytest.fixture(scope="module")
def shuffled(sample_articles: list[Article]) -> Model:
    with pytest.MonkeyPatch.context() as patch:
        return with_latent_space_shuffled(sample_articles, patch)


@pytest.fixture(scope="module")
def swapped_articles(sample_articles: list[Article]) -> list[Article]:
    return with_bodies_swapped(sample_articles, 0.3, seed=3)


@pytest.fixture(scope="module")
def swapped(swapped_articles: list[Article]) -> Model:
    return train(swapped_articles, now=NOW).model


@pytest.fixture(scope="module")
def previous(trained: Trained) -> Baseline:
    return Baseline("before", trained.model)


def test_the_sample_passes_its_own_bounds(trained: Trained, labels: LabelFile) -> None:
    model = with_bounds(trained.model, **sample_recipe().gate.model_dump())

    verdict = judged(model, labels=labels)

    assert verdict.reasons == []
    assert {check.name for check in verdict.checks if check.value is not None} >= {
        *("articles", "coverage", "hub_skew", "category_agreement", "headlines_found", "topic_fit", "ndcg")
    }


@pytest.mark.parametrize(
    ("floor", "bound", "name", "label"),
    [
        ("min_articles", 10_000, "articles", "articles"),
        ("min_coverage", 0.9999, "coverage", "coverage"),
        ("min_category_agreement", 0.9, "category_agreement", "category agreement"),
        ("min_headlines_found", 1.0, "headlines_found", "headlines found"),
        ("min_topic_fit", 0.99, "topic_fit", "topic fit"),
        ("min_ndcg", 0.99, "ndcg", "nDCG at 9"),
        ("max_hub_skew", 0.001, "hub_skew", "hub skew"),
    ],
)
def test_each_bound_refuses_with_a_reason(
    trained: Trained, report: EvaluationReport, floor: str, bound: float, name: str, label: str
) -> None:
    if floor == "min_headlines_found":
        assert report.drawn
        report = report.model_copy(
            update={"drawn": report.drawn.model_copy(update={"headlines_found": [False] * 259})}
        )

    if floor == "min_coverage":
        ours = report.systems[0]
        assert ours.health
        poor = ours.model_copy(update={"health": ours.health.model_copy(update={"coverage": 0.5})})
        report = report.model_copy(update={"systems": [poor, *report.systems[1:]]})

    verdict = judge(with_bounds(trained.model, **{floor: bound}), report)

    assert failed(verdict) == {name}
    assert verdict.reasons[0].startswith(f"{label} ")
    assert f"{bound:g}" in verdict.reasons[0]


@pytest.mark.parametrize("floor", ["max_refused_rows", "max_refused_fields"])
def test_refused_rows_and_fields_have_upper_bounds(
    trained: Trained, report: EvaluationReport, floor: str
) -> None:
    reading = ReadingReport(rows_read=100)
    reading.refuse_row(Refusal("a.csv", 1, None, "missing id", ""))
    reading.refuse_field(Refusal("a.csv", 2, "x", "published_at: not a date", "soon"))

    refused = judge(with_bounds(trained.model, **{floor: 0.005}), report, reading=reading)
    passed = judge(with_bounds(trained.model, **{floor: 0.01}), report, reading=reading)

    assert failed(refused) == {floor.removeprefix("max_")}
    assert passed.reasons == []


def test_the_default_bounds_accept_a_small_corpus() -> None:
    articles = [Article(id=str(at), title=f"Article {at}", body=f"harbour {at % 3}") for at in range(12)]

    assert judged(train(articles, now=NOW).model).reasons == []


def test_headlines_that_only_number_articles_are_not_tested() -> None:
    texts = ("harbour ferry island", "court theft castle", "school budget vote")
    articles = [Article(id=str(at), title=f"Article {at}", body=f"{texts[at % 3]} {at}") for at in range(60)]

    verdict = judged(train(articles, now=NOW).model)

    assert [check.value for check in verdict.checks if check.name == "headlines_found"] == [None]
    assert verdict.reasons == []


# Sabotages


def test_title_weight_0_is_refused_without_a_previous_model(titleless: Model) -> None:
    assert failed(judged(titleless)) == {"headlines_found"}


@pytest.mark.parametrize("labelled", [False, True])
def test_title_weight_0_is_refused_compared_with_a_previous_model(
    titleless: Model, previous: Baseline, labels: LabelFile, *, labelled: bool
) -> None:
    verdict = judged(titleless, previous, labels if labelled else None)

    assert "headlines" in {comparison.name for comparison in verdict.comparisons if not comparison.passed}


@pytest.mark.parametrize("labelled", [False, True])
def test_a_shuffled_latent_space_is_refused(
    shuffled: Model, previous: Baseline, labels: LabelFile, *, labelled: bool
) -> None:
    verdict = judged(shuffled, previous, labels if labelled else None)

    assert "in_place" in failed(verdict)


def test_a_shuffled_latent_space_is_refused_without_a_previous_model(shuffled: Model) -> None:
    assert "in_place" in failed(judged(shuffled))


def test_shuffled_topics_are_refused(trained: Trained) -> None:
    space = trained.model.topic_space
    first = space.first[np.random.default_rng(0).permutation(len(space.first))]

    verdict = judged(replace(trained.model, topic_space=TopicSpace(space.centroids, first)))

    assert failed(verdict) >= {"in_place", "topic_fit"}


def test_topics_under_each_others_names_are_refused(trained: Trained) -> None:
    topics = trained.model.manifest.topics
    manifest = trained.model.manifest.model_copy(update={"topics": [*topics[1:], topics[0]]})

    assert failed(judged(replace(trained.model, manifest=manifest))) == {"topic_fit"}


@pytest.mark.parametrize("labelled", [False, True])
def test_swapped_bodies_are_refused(
    swapped: Model, previous: Baseline, labels: LabelFile, *, labelled: bool
) -> None:
    verdict = judged(swapped, previous, labels if labelled else None)

    assert failed(verdict) == {"categories", "topics", *(["ndcg"] if labelled else [])}


def test_swapped_bodies_fail_the_bounds_of_the_sample(swapped: Model) -> None:
    assert "category_agreement" in failed(judged(with_bounds(swapped, **sample_recipe().gate.model_dump())))


@pytest.mark.parametrize("seed", range(3))
def test_an_honest_retrain_with_5_percent_new_articles_passes(
    sample_articles: list[Article], trained: Trained, labels: LabelFile, seed: int
) -> None:
    newest = max(article.published_at for article in sample_articles if article.published_at)
    earlier = without(sample_articles, 0.05, seed)
    assert len(earlier) == 246
    assert newest < NOW
    before = Baseline("before", train(earlier, now=NOW).model)

    verdict = judged(trained.model, before, labels)

    assert verdict.reasons == []
    assert [comparison.name for comparison in verdict.comparisons] == [
        "categories",
        "topics",
        "headlines",
        "ndcg",
    ]
    assert all(comparison.enough for comparison in verdict.comparisons)
    assert verdict.articles_in_common == 246
    assert verdict.list_overlap is not None
    assert 0.5 < verdict.list_overlap < 1


def test_the_same_model_has_no_differences(trained: Trained, previous: Baseline, labels: LabelFile) -> None:
    verdict = judged(trained.model, previous, labels)

    assert [comparison.difference.low for comparison in verdict.comparisons] == [0, 0, 0, 0]
    assert (verdict.list_overlap, verdict.most_changed) == (1.0, [])


def test_a_report_can_replace_a_model_as_baseline(
    trained: Trained, swapped: Model, report: EvaluationReport, labels: LabelFile
) -> None:
    baseline = Baseline("report.json", report)

    same, worse = judged(trained.model, baseline, labels), judged(swapped, baseline, labels)

    assert [comparison.name for comparison in same.comparisons] == ["categories", "headlines", "ndcg"]
    assert [comparison.difference.mean for comparison in same.comparisons] == [0, 0, 0]
    assert same.reasons == []
    assert failed(worse) == {"categories", "ndcg"}


def test_articles_missing_on_one_side_are_in_neither_list(
    sample_articles: list[Article], trained: Trained
) -> None:
    earlier = without(sample_articles, 0.05, 0)
    gone = {article.id for article in sample_articles} - {article.id for article in earlier}

    shared = Baseline("before", train(earlier, now=NOW).model).shared_lists(trained.model)

    ids = trained.model.articles.ids
    listed = {ids[row] for row in np.unique([shared.new, shared.old]).tolist() if row != NO_ROW}
    assert {ids[int(row)] for row in shared.rows} == {article.id for article in earlier}
    assert listed
    assert not listed & gone
    assert (shared.new != NO_ROW).all()


def test_overlap_is_the_share_of_common_items() -> None:
    new = np.array([[1, 2, 3], [4, 5, NO_ROW], [NO_ROW] * 3, [7, NO_ROW, NO_ROW]])
    old = np.array([[3, 2, 9], [5, 4, NO_ROW], [NO_ROW] * 3, [NO_ROW] * 3])

    shares = overlaps(SharedLists(np.arange(4), new, old, None))

    assert shares.tolist() == pytest.approx([2 / 3, 1, 1, 0])


def test_the_most_changed_articles_are_named_with_both_lists(
    sample_articles: list[Article], swapped_articles: list[Article], swapped: Model, previous: Baseline
) -> None:
    titles = {article.id: article.title for article in sample_articles}
    pairs = zip(sample_articles, swapped_articles, strict=True)
    moved = {mine.id for mine, theirs in pairs if mine.body != theirs.body}

    changed = judged(swapped, previous).most_changed

    assert len(changed) == 10
    assert [article.overlap for article in changed] == sorted(article.overlap for article in changed)
    assert {article.id for article in changed} <= moved
    assert all(
        article.title == titles[article.id] and len(article.before) == len(article.after) == 9
        for article in changed
    )


# Guards


def test_a_corpus_that_shrank_is_refused(sample_articles: list[Article], previous: Baseline) -> None:
    some = train(without(sample_articles, 0.11, 0), now=NOW).model
    most = train(without(sample_articles, 0.09, 0), now=NOW).model

    assert "corpus" in failed(judged(some, previous))
    assert "corpus" not in failed(judged(most, previous))
    assert (
        "the corpus shrank by more than 10%: 259 articles before, 231 now" in judged(some, previous).reasons
    )


def test_a_newest_article_older_than_before_is_refused(
    sample_articles: list[Article], trained: Trained, previous: Baseline
) -> None:
    newest = int(trained.model.articles.newest[0])
    older = train([a for a in sample_articles if a.id != trained.model.articles.ids[newest]], now=NOW).model

    reasons = judged(older, previous).reasons

    assert len(reasons) == 1
    assert reasons[0].startswith("older than before: newest article 2026-")


def test_a_deleted_embargoed_article_is_not_a_loss(sample_articles: list[Article]) -> None:
    planned = replace(sample_articles[0], id="planned", published_at=NOW + timedelta(days=3))
    before = Baseline("before", train([*sample_articles, planned], now=NOW).model)

    assert "newest" not in failed(judged(train(sample_articles, now=NOW).model, before))


def test_terms_that_halved_are_refused(sample_articles: list[Article], previous: Baseline) -> None:
    short = [replace(article, body=article.body[:100]) for article in sample_articles]

    verdict = judged(train(short, now=NOW).model, previous)

    assert "terms" in failed(verdict)
    assert any(reason.startswith("terms halved: ") for reason in verdict.reasons)


@pytest.mark.parametrize("how", ["other ids", "the same ids"])
def test_a_baseline_without_common_articles_is_ignored(previous: Baseline, how: str) -> None:
    first = 1001 if how == "the same ids" else 1
    others = [Article(id=str(first + at), title=f"Other {at}", body=f"harbour {at % 3}") for at in range(12)]
    assert (str(first) in previous.ids) == (how == "the same ids")

    verdict = judged(train(others, now=NOW).model, previous)

    assert verdict.reasons == []
    assert ([guard.name for guard in verdict.guards], verdict.comparisons) == (["in_place"], [])
    assert (verdict.compared_with, verdict.list_overlap, verdict.most_changed) == (None, None, [])
    assert verdict.not_compared == "no articles in common with before: not compared"
    assert verdict.summary.not_compared == verdict.not_compared


@pytest.mark.parametrize("field", ["title", "url", "body"])
def test_articles_are_the_same_by_title_url_or_body(
    sample_articles: list[Article], previous: Baseline, field: str
) -> None:
    article = sample_articles[0]
    other = Article(id=article.id, title="Other", body="Another text", url="https://other.example/")

    assert previous.contains(replace(other, **{field: getattr(article, field)}))
    assert not previous.contains(other)
    assert not previous.contains(replace(article, id="other"))
    assert not Baseline("x", train([replace(article, url=None)], now=NOW).model).contains(
        replace(other, url=None)
    )


# Intervals


def test_with_few_articles_only_a_clear_loss_is_refused(sample_articles: list[Article]) -> None:
    some = sample_articles[:80]
    before = Baseline("before", train(some, now=NOW).model)
    honest = Baseline("before", train(without(some, 0.05, 5), now=NOW).model)

    retrained = judged(before.source, honest)  # type: ignore[arg-type]
    worse = judged(train(with_bodies_swapped(some, 0.9, 0), now=NOW).model, before)

    assert not any(comparison.enough for comparison in retrained.comparisons)
    assert min(comparison.difference.low for comparison in retrained.comparisons) < -0.02
    assert retrained.reasons == []
    assert "topics" in failed(worse)


@pytest.mark.parametrize(
    ("low", "high", "enough", "passed"),
    [
        (-0.05, 0.01, True, True),
        (-0.0501, 0.01, True, False),
        (-0.5, -0.05, False, True),
        (-0.5, -0.0501, False, False),
    ],
)
def test_an_end_of_the_interval_decides(*, low: float, high: float, enough: bool, passed: bool) -> None:
    comparison = Comparison(
        name="categories",
        label="category agreement",
        count=9,
        new=0.4,
        old=0.5,
        difference=Estimate(mean=-0.1, low=low, high=high),
        margin=0.05,
        enough=enough,
    )

    assert comparison.passed is passed
    assert f"({'lower' if enough else 'upper'} bound {(low if enough else high):+.3f}" in comparison.reason


def test_reports_survive_json(trained: Trained, previous: Baseline) -> None:
    verdict = judged(trained.model, previous)

    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


def test_the_summary_for_the_manifest_records_the_outcome(trained: Trained, previous: Baseline) -> None:
    passed = judged(trained.model, previous).summary
    overridden = judged(with_bounds(trained.model, min_articles=1000)).summary

    assert (passed.outcome, passed.reasons, passed.compared_with) == ("passed", [], "before")
    assert (overridden.outcome, overridden.compared_with) == ("overridden", None)
    assert overridden.reasons == ["articles 259, not at least 1000"]
