"""Same-story retrieval in an archive: 100 labelled stories among the news, without dates and categories.

Choose a recipe on half of the stories, and judge it on the held-out half, which is reported separately.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from recommender.terminal import Bars, evaluation_table
from recommender.training.evaluation.baselines import baselines
from recommender.training.evaluation.evaluate import EvaluationReport, SystemReport, evaluate
from recommender.training.evaluation.labels import LabelFile
from recommender.training.evaluation.measures import MEASURES, intervals
from recommender.training.readers.corpus import read_articles
from recommender.training.train import train

SPLIT_SEED = 0
PEERS = ("sklearn_tfidf", "bm25")


def measure(corpus: Path) -> None:
    """Print the quality on all stories and on the held-out half; without the real corpora print a note."""
    console, stories = Console(), corpus.with_name("stories.jsonl")
    if not stories.exists():
        console.print("quality needs news.parquet and stories.jsonl: set RECOMMENDER_TEST_DATA")
        return
    articles = [
        replace(article, category=None, categories=()) for article in read_articles(corpus, stories).articles
    ]
    bars = Bars(Console(stderr=True))
    trained = train(articles, progress=bars)
    peers = [system for system in baselines() if system.name in PEERS]
    report = evaluate(trained.model, read_stories(stories), systems=peers, progress=bars)
    console.print(evaluation_table(report))
    everything, held = set(report.query_ids), held_out(stories)
    for name, ids in (("all", everything), ("to choose on", everything - held), ("held out", held)):
        console.print(_part(report, ids, name))


def read_stories(path: Path) -> LabelFile:
    """Return the labels in the corpus of stories."""
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return LabelFile.of_stories([(row["id"], row["story_id"]) for row in rows], path.name)


def held_out(path: Path) -> set[str]:
    """Return the ids of the articles in the 50 held-out stories."""
    stories = read_stories(path).stories
    shuffled = np.random.default_rng(SPLIT_SEED).permutation(sorted(stories))
    return {article_id for story in shuffled[len(stories) // 2 :] for article_id in stories[story]}


def _part(report: EvaluationReport, ids: set[str], name: str) -> Table:
    inside = np.array([article_id in ids for article_id in report.query_ids])
    stories = np.unique(np.array(report.query_stories)[inside], return_inverse=True)[1]
    ours = _values(report.systems[0])[inside]
    table = Table(f"{name}: {stories.max() + 1} stories", *MEASURES, "ours - it: ndcg_at_9", "recall_at_9")
    for system in report.systems:
        values = _values(system)[inside]
        cells = [f"{value:.3f}" for value in values.mean(axis=0)]
        differences = zip(*intervals(ours - values, stories, report.seed), strict=True)
        intervals_of = [f"{mean:+.3f} [{low:+.3f},{high:+.3f}]" for mean, low, high in differences]
        table.add_row(system.label, *cells, *(intervals_of[:2] if system.name != "ours" else ()))
    return table


def _values(system: SystemReport) -> np.ndarray:
    if system.per_query is None:
        raise ValueError(f"{system.name} was measured without labels")
    return np.array([getattr(system.per_query, name) for name in MEASURES]).T
