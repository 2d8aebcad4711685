"""The parts of the quality benchmark that are computed by its own code."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommender.article import Article
from recommender.training.evaluation.labels import LabelFile
from recommender.training.readers.corpus import read_articles
from recommender.training.train import Trained
from tests.benchmarks.quality import run
from tests.benchmarks.quality.dirty import VARIANTS, changed
from tests.benchmarks.quality.links import linked_pairs
from tests.benchmarks.quality.parts import PARTS, Part
from tests.benchmarks.quality.results import Correlation, Means, halves, with_halves
from tests.benchmarks.quality.systems import by_labels, rankings
from tests.support.corpora import jsonl

PAIR = ("2015-05-11-budget", "2016-01-02-harbour")
POSTS = [
    {
        "id": f"{number}",
        "title": f"Title {number}",
        "url": f"https://courier.example/{number}",
        "published_at": f"2026-01-{number + 1:02}T08:00:00Z",
        "body": f"<p>First paragraph {number}.</p><p>Second paragraph {number}.</p>",
    }
    for number in range(20)
]


def means(ours: list[float], other: list[float], groups: list[str] | None = None) -> Means:
    ids = [f"q{number}" for number in range(len(ours))]
    return Means("sample", "ndcg_at_9", ids, groups or ids, {"ours": ours, "TF-IDF": other})


def correlation(ours_noise: float, other_noise: float) -> Correlation:
    """Twelve texts whose pairs have random similarities, and two systems that see them with noise."""
    generator, texts = np.random.default_rng(1), list("abcdefghijkl")
    truth, first, second = generator.random((3, len(texts) * (len(texts) - 1) // 2))
    values = {"ours": truth + ours_noise * first, "TF-IDF": truth + other_noise * second}
    return Correlation("texts", texts, truth.tolist(), {name: v.tolist() for name, v in values.items()})


@pytest.mark.parametrize(
    "link",
    [
        "[harbour](/2016/01/02/harbour/)",
        "[harbour](https://courier.example/2016/01/02/harbour/?utm=1#top)",
        '[harbour]({{ "/2016/01/02/harbour/" | url }})',
        "[harbour]({{ site.baseurl }}{% post_url 2016-01-02-harbour %})",
        "[harbour][1]\n\n[1]: /2016/01/02/harbour.html",
        "<a class='x' href='/2016/01/02/harbour/'>harbour</a>",
        "See https://courier.example/2016/01/02/harbour.",
        "[the date has changed](/2015/12/30/harbour/)",
    ],
)
def test_a_link_between_two_posts_is_found(link: str) -> None:
    assert linked_pairs({PAIR[0]: f"The budget.\n\n{link}\n", PAIR[1]: "The harbour."}) == {PAIR}


@pytest.mark.parametrize(
    "text",
    [
        "We wrote 2016-01-02-harbour without a link.",
        "![a picture](/assets/2016/01/02/harbour-plan.jpg)",
        "[elsewhere](https://other.example/2016/01/02/quay/)",
        "[itself](/2015/05/11/budget/)",
    ],
)
def test_what_is_not_a_link_to_another_post_gives_no_pair(text: str) -> None:
    assert linked_pairs({PAIR[0]: text, PAIR[1]: "The harbour."}) == set()


def test_a_slug_of_two_posts_is_resolved_by_its_date_only() -> None:
    posts = {
        PAIR[0]: "[a](/2016/01/02/harbour/) [b](/2014/01/01/harbour/)",
        PAIR[1]: "",
        "2017-03-04-harbour": "",
    }

    assert linked_pairs(posts) == {PAIR}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_dirty_variant_adds_to_bodies_and_leaves_everything_else(name: str) -> None:
    dirty = changed(POSTS, VARIANTS[name])

    assert dirty == changed(POSTS, VARIANTS[name])
    assert [{**post, "body": ""} for post in dirty] == [{**post, "body": ""} for post in POSTS]
    pairs = list(zip(POSTS, dirty, strict=True))
    assert any(len(after["body"]) > len(before["body"]) for before, after in pairs)
    assert all(f"Second paragraph {before['id']}." in after["body"] for before, after in pairs)


def test_a_block_of_related_titles_never_contains_its_own_article() -> None:
    dirty = changed(POSTS, VARIANTS["related plugin"])

    assert all(post["body"].count("<li>") == 6 and f">{post['title']}<" not in post["body"] for post in dirty)


def test_a_paired_difference_has_a_narrow_interval_where_both_vary_alike() -> None:
    other = np.linspace(0, 1, 50).tolist()

    difference = means([value + 0.1 for value in other], other).ours_minus("TF-IDF")

    assert (difference.mean, difference.low, difference.high) == pytest.approx((0.1, 0.1, 0.1))


def test_queries_of_one_story_are_drawn_together() -> None:
    ours, zeros = [1.0] * 10 + [0.0] * 10, [0.0] * 20

    by_query = means(ours, zeros).ours_minus("TF-IDF")
    by_story = means(ours, zeros, ["a"] * 10 + ["b"] * 10).ours_minus("TF-IDF")

    assert by_query.mean == by_story.mean == 0.5
    assert 0 < by_query.low < by_query.high < 1
    assert (by_story.low, by_story.high) == (0, 1)


def test_a_correlation_is_pearsons_and_its_difference_has_an_interval() -> None:
    result = correlation(0.1, 2)

    difference = result.ours_minus("TF-IDF")

    assert result.result("ours") == pytest.approx(np.corrcoef(result.values["ours"], result.truth)[0, 1])
    assert difference.mean == pytest.approx(result.result("ours") - result.result("TF-IDF"))
    assert 0 < difference.low < difference.mean < difference.high < 1


def test_the_difference_of_equal_scores_is_zero() -> None:
    difference = correlation(0, 0).ours_minus("TF-IDF")

    assert (difference.mean, difference.low, difference.high) == (0, 0, 0)


def test_halves_are_equal_disjoint_and_the_same_in_any_order() -> None:
    labels = [f"story {number}" for number in range(100)]

    chosen_on, held_out = halves(labels)

    assert (len(chosen_on), len(held_out)) == (50, 50)
    assert chosen_on | held_out == set(labels)
    assert halves(labels[::-1] + labels[:7]) == (chosen_on, held_out)


def test_halves_keep_the_queries_of_a_story_together() -> None:
    everything, *parts = with_halves(means([1.0, 0.0, 0.5, 0.5], [0.0] * 4, ["a", "a", "b", "b"]))

    assert sorted(part.result("ours") for part in parts) == [0.5, 0.5]
    assert [set(part.groups) for part in parts] in ([{"a"}, {"b"}], [{"b"}, {"a"}])
    assert len(everything) == sum(map(len, parts))


@pytest.mark.slow
def test_all_systems_rank_the_same_articles_and_never_the_query(trained: Trained) -> None:
    rows = np.array([3, 0, 100])

    lists = dict(rankings(trained.model, rows))

    assert list(lists) == ["ours", "TF-IDF", "tuned TF-IDF"]
    assert all(ranked.shape == (3, 50) and not (ranked == rows[:, None]).any() for ranked in lists.values())


@pytest.mark.slow
def test_labels_of_pairs_are_drawn_by_query_and_stories_by_story(trained: Trained) -> None:
    model = trained.model
    ids = [model.articles.ids[row] for row in range(4)]
    of_pairs = LabelFile("pairs", grades={(ids[0], ids[1]): 1})
    of_stories = LabelFile("stories", {"x": frozenset(ids[:2]), "y": frozenset(ids[2:])})

    by_query = by_labels("c", model, of_pairs, ["mrr"], by_story=False)[0]
    by_story = by_labels("c", model, of_stories, ["mrr"], by_story=True)[0]

    assert by_query.groups == ids[:2]
    assert by_story.groups == ["x", "x", "y", "y"]


def test_a_run_prints_a_narrow_table_and_compares_with_an_earlier_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def part(values: list[float]) -> Part:
        def measured(_: Path) -> Iterator[Means | Correlation]:
            systems = {"ours": values, "TF-IDF": [0.0, 0.0], "tuned TF-IDF": [1.0, 1.0]}
            yield Means("news stories, chosen on", "recall_at_9", ["a", "b"], ["a", "b"], systems)

        return Part(measured)

    before, after = tmp_path / "before.json", tmp_path / "new" / "after.json"
    monkeypatch.setitem(PARTS, "sample", part([0.25, 0.5]))
    run.measure(tmp_path, ["sample"], before, None)
    monkeypatch.setitem(PARTS, "sample", part([0.5, 0.75]))
    run.measure(tmp_path, ["sample", "links"], after, before)

    printed = capsys.readouterr().out
    row: dict[str, Any] = json.loads(after.read_text())["results"][0]
    assert row["results"] == {"ours": 0.625, "TF-IDF": 0, "tuned TF-IDF": 1, "before": 0.375}
    assert row["ours_minus"]["before"] == {"mean": 0.25, "low": 0.25, "high": 0.25}
    assert "before              .3750 +.250 [+.250,+.250]" in printed
    assert "links skipped: markdown not in" in printed
    assert all(len(line) <= 100 for line in printed.splitlines() if "/" not in line)


@pytest.mark.slow
def test_dirty_variants_are_read_as_articles(tmp_path: Path) -> None:
    for variant in VARIANTS.values():
        articles: list[Article] = read_articles(
            jsonl(tmp_path / "posts.jsonl", *changed(POSTS, variant))
        ).articles

        assert len(articles) == len(POSTS)
        assert all("Second paragraph" in article.body for article in articles)
