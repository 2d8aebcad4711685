"""The archive that benchmarks are run on: whole sections, distinct posts, few copies."""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest

from recommender.article import Article
from recommender.copies import WordTriples
from tests.benchmarks.training.archive import ArchiveError, plan, posts, sources_of, write_archive


def articles(count: int = 60, paragraphs: int = 16) -> list[Article]:
    """Articles of three categories; paragraphs have 20 to 40 words of a vocabulary like that of real text."""
    generator = np.random.default_rng(3)

    def paragraph(number: int, place: int) -> str:
        words = generator.zipf(1.3, size=generator.integers(20, 40)).clip(max=9_999)
        return f"Paragraph {number} {place} " + " ".join(f"w{word}" for word in words) + "."

    return [
        Article(
            id=f"{number:03}",
            title=f"Title {number}",
            body="\n".join(paragraph(number, place) for place in range(generator.integers(2, paragraphs))),
            category=("harbour", "council", "school")[number % 3],
            published_at=datetime(2020, 1, 1 + number % 28, tzinfo=UTC),
        )
        for number in range(count)
    ]


ARTICLES = articles()
PARAGRAPHS = {line: article for article in ARTICLES for line in article.body.split("\n")}


def archive(folder: Path, count: int, seed: int = 0) -> list[dict[str, str]]:
    write_archive(folder / "posts.jsonl", ARTICLES, count, 100, seed)
    return [json.loads(line) for line in (folder / "posts.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """An archive of several layers."""
    return archive(tmp_path_factory.mktemp("archive"), 200)


@pytest.mark.parametrize("count", [60, 200])
def test_the_posts_are_as_many_and_as_long_as_asked_for(tmp_path: Path, count: int) -> None:
    made = archive(tmp_path, count)

    assert len(made) == count
    assert np.mean([len(post["body"].split()) for post in made]) == pytest.approx(100, rel=0.1)


def test_a_post_has_all_fields_and_its_own_id_and_body(shared: list[dict[str, str]]) -> None:
    assert all(
        set(post) == {"id", "title", "body", "published_at", "category", "url"} and all(post.values())
        for post in shared
    )
    assert len({post["id"] for post in shared}) == len({post["body"] for post in shared}) == 200


def test_the_same_seed_makes_the_same_archive(tmp_path: Path) -> None:
    first, again, other = (archive(tmp_path, 80, seed) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_a_post_is_whole_sections_of_at_most_two_articles_of_one_category(
    shared: list[dict[str, str]],
) -> None:
    for post in shared:
        paragraphs = post["body"].split("\n\n")
        sources = [PARAGRAPHS[paragraph] for paragraph in paragraphs]

        breaks = sum(
            f"{one}\n{next_one}" not in PARAGRAPHS[one].body for one, next_one in pairwise(paragraphs)
        )
        assert breaks <= 1
        assert len({source.id for source in sources}) == breaks + 1
        assert {source.category for source in sources} == {post["category"]}


def test_the_halves_of_a_post_have_similar_lengths_and_no_two_articles_are_paired_twice(
    shared: list[dict[str, str]],
) -> None:
    pairs: Counter[frozenset[str]] = Counter()
    for post in shared:
        words: Counter[str] = Counter()
        for paragraph in post["body"].split("\n\n"):
            words[PARAGRAPHS[paragraph].id] += len(paragraph.split())
        if len(words) == 2:
            pairs[frozenset(words)] += 1
            assert max(words.values()) <= 1.3 * min(words.values())

    assert len(pairs) > 30
    assert set(pairs.values()) == {1}


def test_a_small_archive_uses_no_paragraph_twice(tmp_path: Path) -> None:
    used = Counter(line for post in archive(tmp_path, 60) for line in post["body"].split("\n\n"))

    assert set(used.values()) == {1}


def test_no_post_is_a_copy_of_another(shared: list[dict[str, str]]) -> None:
    bodies = [post["body"] for post in shared]
    related = [
        pair for pair in combinations(bodies, 2) if set(pair[0].split("\n\n")) & set(pair[1].split("\n\n"))
    ]

    assert len(related) > 50
    assert not any(WordTriples.of("", one).is_same_text(WordTriples.of("", other)) for one, other in related)


def test_the_first_passage_has_the_title_of_the_article_and_others_a_sentence(
    shared: list[dict[str, str]],
) -> None:
    for post in shared:
        first = post["body"].split("\n\n")[0]
        own = post["title"] == PARAGRAPHS[first].title
        assert own or post["title"] in post["body"]
    assert sum(post["title"].startswith("Title") for post in shared) > 20


def test_articles_without_enough_text_are_refused_with_the_number_of_posts(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"9 articles make [\d,]+ posts of \d+ words, fewer than 500"):
        write_archive(tmp_path / "posts.jsonl", ARTICLES[:9], 500, 100)


def test_posts_with_the_same_text_are_written_once() -> None:
    sources = sources_of([ARTICLES[0], replace(ARTICLES[0], id="copy")])

    made = list(posts(sources, plan(sources, 1, 10_000, 0) * 2, 0))

    assert len(made) == 1


def test_a_long_text_without_line_breaks_is_cut_between_sentences() -> None:
    sentences = [f"Sentence {number} has eight words in this text." for number in range(50)]
    [source] = sources_of([Article(id="1", body=" ".join(sentences))])

    assert max(source.words) <= 100
    assert " ".join(source.paragraphs).split() == " ".join(sentences).split()
    assert all(paragraph.endswith(".") for paragraph in source.paragraphs)


@pytest.mark.parametrize(
    ("body", "category"),
    [
        ("Aar is a small river in Switzerland.", "river"),
        ("Mo Doe was an American politician who led a town.", "politician"),
        ("Rain falls.", "general"),
    ],
)
def test_an_article_of_an_encyclopedia_gets_what_it_is_as_category(body: str, category: str) -> None:
    [source] = sources_of([Article(id="1", body=body + " It has more words." * 10)])

    assert source.category == category
