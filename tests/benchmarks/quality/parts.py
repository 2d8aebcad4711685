"""The parts of the benchmark: which corpora and labels are measured, and how."""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import recommender
from recommender.article import Article
from recommender.training.evaluation.labels import LabelFile, read_labels
from recommender.training.formats.markdown import front_matter, text_of
from recommender.training.readers.corpus import read_articles
from recommender.training.train import train
from tests.benchmarks.quality.dirty import VARIANTS, Posts, changed
from tests.benchmarks.quality.links import linked_pairs
from tests.benchmarks.quality.results import OURS, Correlation, Means, Result, with_halves
from tests.benchmarks.quality.systems import by_category, by_labels, peers
from tests.support.corpora import jsonl

_SAMPLE = Path(recommender.__file__).parent / "sample"
_LANGUAGES = Path(__file__).parents[2] / "data" / "languages"
_LISTS = ("ndcg_at_9", "recall_at_9")
_FIRST = ("precision_at_1",)
CLEAN = "clean sample"


@dataclass(frozen=True)
class Part:
    """One part of the benchmark, and the files that it needs in the folder of real data."""

    measure: Callable[[Path], Iterator[Result]]
    needs: tuple[str, ...] = ()


def sample(_: Path) -> Iterator[Result]:
    """Measure the sample by its stories."""
    yield from _sample("sample", _sample_posts())


def dirty(_: Path) -> Iterator[Result]:
    """Measure each dirty variant of the sample, also against the lists of the clean sample."""
    posts = _sample_posts()
    clean = {means.measure: means.values[OURS] for means in _sample("sample", posts)}
    for name, variant in VARIANTS.items():
        for means in _sample(name, changed(posts, variant)):
            yield replace(means, values={**means.values, CLEAN: clean[means.measure]})


def languages(_: Path) -> Iterator[Result]:
    """Measure the first place in each fixture of a language alone, and in all of them mixed."""
    everything: list[Article] = []
    stories: dict[str, frozenset[str]] = {}
    for path in sorted(_LANGUAGES.glob("*.jsonl")):
        articles = read_articles(path).articles
        labels = read_labels(path.with_name(f"{path.stem}_stories.csv"))
        everything += articles
        stories |= {f"{path.stem} {story}": members for story, members in labels.stories.items()}
        yield from by_labels(f"language {path.stem}", articles, labels, _FIRST, by_story=True)
    mixed = LabelFile("the languages", stories)
    yield from by_labels("languages mixed", everything, mixed, _FIRST, by_story=True)


def links(folder: Path) -> Iterator[Result]:
    """Measure by the links that editors wrote between posts, in both directions."""
    articles = read_articles(folder / "markdown").articles
    texts = {post.id: front_matter(text_of(folder / "markdown" / f"{post.id}.md"))[1] for post in articles}
    labels = LabelFile("links", grades=dict.fromkeys(linked_pairs(texts), 1))
    for means in by_labels("links", articles, labels, _LISTS, by_story=False):
        yield from with_halves(means)


def stories(folder: Path) -> Iterator[Result]:
    """Measure whether labelled stories are found in a large archive, without dates and categories."""
    rows = _json_lines(folder / "stories.jsonl")
    labels = LabelFile.of_stories([(row["id"], row["story_id"]) for row in rows], "stories.jsonl")
    articles = read_articles(folder / "news.parquet", folder / "stories.jsonl").articles
    articles = [_without_category(article) for article in articles]
    for means in by_labels("news stories", articles, labels, _LISTS, by_story=True):
        yield from with_halves(means)


def lee(folder: Path) -> Iterator[Result]:
    """Measure the correlation of scores with human similarity of 50 short texts, among 300 others."""
    names = ("lee.cor", "lee_background.cor")
    texts = [line for name in names for line in _lines(folder / name)]
    articles = [Article(id=f"{number:03}", body=text, lang="en") for number, text in enumerate(texts)]
    human = np.loadtxt(folder / "similarities0-1.txt")
    model, n = train(articles).model, len(human)
    scores = {OURS: np.array([model.scores(model.query_of(row))[:n] for row in range(n)])}
    scores |= {system: similarity(np.arange(n))[:, :n] for system, similarity in peers(model)}
    ids = [article.id for article in articles[:n]]
    yield Correlation(
        "lee", ids, _pairs(human), {system: _pairs(matrix) for system, matrix in scores.items()}
    )


def sections(folder: Path) -> Iterator[Result]:
    """Measure whether lists stay in the article's section, which training does not see."""
    articles = read_articles(folder / "sections.jsonl", max_bad=1).articles
    category_of = {article.id: article.category or "" for article in articles}
    yield by_category("sections", [_without_category(article) for article in articles], category_of)


PARTS: Mapping[str, Part] = {
    "sample": Part(sample),
    "dirty": Part(dirty),
    "languages": Part(languages),
    "links": Part(links, ("markdown",)),
    "lee": Part(lee, ("lee.cor", "lee_background.cor", "similarities0-1.txt")),
    "sections": Part(sections, ("sections.jsonl",)),
    "stories": Part(stories, ("news.parquet", "stories.jsonl")),
}


def _sample(name: str, posts: Posts) -> list[Means]:
    labels = read_labels(_SAMPLE / "stories.csv")
    with tempfile.TemporaryDirectory() as folder:
        articles = read_articles(jsonl(Path(folder) / "posts.jsonl", *posts)).articles
    return by_labels(name, articles, labels, _LISTS, by_story=True)


def _sample_posts() -> list[dict[str, Any]]:
    return _json_lines(_SAMPLE / "articles.jsonl")


def _json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _lines(path)]


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]


def _without_category(article: Article) -> Article:
    return replace(article, category=None, categories=())


def _pairs(matrix: np.ndarray) -> list[float]:
    """Return the mean of both directions of each pair."""
    upper: list[float] = ((matrix + matrix.T) / 2)[np.triu_indices(len(matrix), 1)].tolist()
    return upper
