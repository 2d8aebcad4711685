"""The corpora that trainings are measured on, and the files that our command and the peers read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import recommender
from recommender.columns import Strings
from recommender.model import Articles
from recommender.training.evaluation.labels import Judgements, judgements, read_labels
from recommender.training.evaluation.measures import MEASURES, measured
from recommender.training.readers.corpus import read_articles

_FOLDER = Path(recommender.__file__).parent / "sample"
SAMPLE = _FOLDER / "articles.jsonl"
QUALITY = ("ndcg_at_9", "recall_at_9")


@dataclass(frozen=True)
class Corpus:
    """A file of articles, or every n-th article of it in order of their ids."""

    name: str
    path: Path
    labels: Path | None = None
    every: int = 1


@dataclass(frozen=True)
class Labelled:
    """The labels of a corpus, matched with the rows of its articles in order of their ids."""

    judged: Judgements
    titles: Strings

    def quality(self, lists: np.ndarray, query_step: int) -> tuple[dict[str, float], int]:
        """Return the means of the measures, and the number of labelled queries that they are of.

        `lists` are those of every `query_step`-th row, (queries, k) int32.
        """
        queried = self.judged.queries % query_step == 0
        queries = self.judged.queries[queried]
        if not len(queries):
            return {}, 0
        judged = Judgements(self.judged.grades, queries, self.judged.stories[queried], 0)
        means = measured(lists[queries // query_step], judged, self.titles).mean(axis=0)
        by_name = dict(zip(MEASURES, means.tolist(), strict=True))
        return {name: by_name[name] for name in QUALITY}, len(queries)


@dataclass(frozen=True)
class Prepared:
    """A corpus, ready to be measured."""

    name: str
    trained: Path  # the file that our command reads
    lines: Path  # the same articles as JSON lines in order of their ids, which the peers read
    articles: int
    mean_words: float
    labelled: Labelled | None


def corpora_in(folder: Path | None) -> Mapping[str, Corpus]:
    """Return the corpora by name: the sample, and those in the folder of real data if there is one."""
    corpora = [Corpus("sample", SAMPLE, _FOLDER / "stories.csv")]
    if folder:
        encyclopedia = folder / "encyclopedia.parquet"
        corpora += [
            Corpus("news", folder / "news.parquet", folder / "news_stories.csv"),
            Corpus("half", encyclopedia, every=2),
            Corpus("encyclopedia", encyclopedia),
        ]
    return {corpus.name: corpus for corpus in corpora}


def prepared(corpus: Corpus, scratch: Path) -> Prepared:
    """Write the articles of a corpus to `scratch`, for the peers and, if they are a part, for our command.

    Raises CorpusError or LabelsError if a file cannot be read.
    """
    everything = sorted(read_articles(corpus.path).articles, key=lambda article: article.id.encode())
    articles = everything[:: corpus.every]
    lines = scratch / "corpus.jsonl"
    with lines.open("w", encoding="utf-8") as file:
        file.writelines(f"{article.to_json()}\n" for article in articles)
    labelled = None
    if corpus.labels:
        columns = Articles.of(articles)
        labelled = Labelled(judgements(read_labels(corpus.labels), columns), columns.titles)
    return Prepared(
        name=corpus.name,
        trained=corpus.path if corpus.every == 1 else lines,
        lines=lines,
        articles=len(articles),
        mean_words=sum(len(article.body.split()) for article in articles) / max(1, len(articles)),
        labelled=labelled,
    )
