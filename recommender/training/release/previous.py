"""The baseline that a new model is compared with: a published version, or an earlier evaluation report."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from recommender.article import Article
from recommender.artifact import open_version, versions
from recommender.displayed import LIST_LENGTH, displayed_lists_among
from recommender.model import Model
from recommender.neighbors import NO_ROW
from recommender.training.evaluation.evaluate import SAMPLE_SIZE, EvaluationReport, newest_published_at
from recommender.training.evaluation.labels import Judgements, LabelFile, LabelsError, judgements
from recommender.training.evaluation.measures import measured
from recommender.training.evaluation.probes import hash_sample, headlines_found


class BaselineError(ValueError):
    """The baseline cannot be used; the message names it and the reason."""


@dataclass(frozen=True)
class CorpusSummary:
    """The corpus figures that the guards compare; None: unknown."""

    articles: int
    newest_published_at: datetime | None
    terms: int | None


@dataclass(frozen=True)
class Pairs:
    """New and old values of one measure for the same articles or queries; NaN: no value."""

    new: np.ndarray  # (m,) float64
    old: np.ndarray
    stories: np.ndarray  # (m,) int; values with the same number are not independent


@dataclass(frozen=True)
class SharedLists:
    """The new and old lists of the articles that both sides contain, by the new model's rows."""

    rows: np.ndarray  # (m,) int64, in the order of the sample
    new: np.ndarray  # (m, 9) int32, padded with NO_ROW
    old: np.ndarray  # likewise
    old_topics: np.ndarray | None  # (n,) int32, the old first topic of each new row, -1 for none


@dataclass(frozen=True)
class Baseline:
    """A model or an evaluation report to compare with."""

    name: str
    source: Model | EvaluationReport

    @property
    def corpus(self) -> CorpusSummary:
        """The corpus figures that the guards compare."""
        if isinstance(self.source, EvaluationReport):
            report = self.source
            return CorpusSummary(report.articles, report.newest_published_at, report.terms)
        corpus = self.source.manifest.corpus
        return CorpusSummary(corpus.articles, newest_published_at(self.source), corpus.terms_kept)

    @cached_property
    def ids(self) -> list[str]:
        """The articles that can be compared: all of a model, the sampled ones of a report."""
        if isinstance(self.source, EvaluationReport):
            return self.source.drawn.ids if self.source.drawn else []
        return list(self.source.articles.ids)

    def contains(self, article: Article) -> bool:
        """Return whether the article is among those that can be compared.

        A model must contain it under its id with the same title, URL or body, because ids of other sites may
        be equal by chance.
        """
        if isinstance(self.source, EvaluationReport):
            return article.id in self._id_set
        row = self.source.articles.ids.find(article.id)
        if row is None:
            return False
        own = self.source.articles.article(row)
        pairs = (own.title, article.title), (own.url, article.url), (own.body, article.body)
        return any(ours and ours == theirs for ours, theirs in pairs)

    @cached_property
    def _id_set(self) -> frozenset[str]:
        return frozenset(self.ids)

    def rows_in(self, model: Model) -> np.ndarray:
        """Return the row of each article in a model, (n_old,) int64, -1 if the model does not contain it."""
        row_of = {article_id: row for row, article_id in enumerate(model.articles.ids)}
        return np.array([row_of.get(article_id, -1) for article_id in self.ids], dtype=np.int64)

    def shared_lists(self, model: Model) -> SharedLists:
        """Return the lists of the articles in common, without items that only one side contains."""
        new_of = self.rows_in(model)
        if isinstance(self.source, EvaluationReport):
            return _lists_of_report(self.source, model, new_of)
        rows = np.flatnonzero(new_of >= 0)
        positions = hash_sample([self.source.articles.ids[row] for row in rows.tolist()], SAMPLE_SIZE)
        return lists_in_common(self.source, model, new_of, rows[positions])

    def headlines(self, report: EvaluationReport) -> Pairs:
        """Return which headlines alone find their articles, 1 or 0, for those tested on both sides."""
        new = _headlines_tested(report)
        if isinstance(self.source, EvaluationReport):
            old = _headlines_tested(self.source)
        else:
            find = self.source.articles.ids.find
            rows = {article_id: row for article_id in new if (row := find(article_id)) is not None}
            hits = zip(rows, headlines_found(self.source, rows.values()), strict=True)
            old = {article_id: hit for article_id, hit in hits if hit is not None}
        common = [article_id for article_id in new if article_id in old]
        pairs = [(new[article_id], old[article_id]) for article_id in common]
        values = np.array(pairs, dtype=np.float64).reshape(-1, 2)
        return Pairs(values[:, 0], values[:, 1], np.arange(len(common)))

    def ndcg(self, model: Model, report: EvaluationReport, labels: LabelFile) -> Pairs | None:
        """Return nDCG of the queries in common; None if the old side has no labels.

        Two models are measured on the articles in common. The values of a report are used unchanged.
        """
        if isinstance(self.source, EvaluationReport):
            return _reported_ndcg(report, self.source)
        return _ndcg(model, self.source, self.rows_in(model), labels)


def read_baseline(name: str, models_dir: Path) -> Baseline:
    """Return the version in the models folder, or the report file, with this name.

    Raises BaselineError if there is neither or the file is not a report, ArtifactError for a damaged version.
    """
    if name in versions(models_dir):
        return Baseline(name, open_version(models_dir, name))
    try:
        text = Path(name).read_bytes()
    except OSError as error:
        raise BaselineError(
            f"--baseline {name} is neither a version in {models_dir} nor a readable file ({error.strerror})"
        ) from error
    try:
        report = EvaluationReport.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        detail = ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
        raise BaselineError(
            f"--baseline {name} is not a report of `recommender evaluate --json`: {detail}"
        ) from error
    if report.drawn is None or not report.systems:
        raise BaselineError(
            f"--baseline {name} contains no sampled articles; create it with `recommender evaluate --json`"
        )
    return Baseline(name, report)


def check_common(baseline: Baseline, articles: Collection[Article]) -> None:
    """Raise BaselineError when a baseline contains none of these articles."""
    if not any(map(baseline.contains, articles)):
        raise BaselineError(
            f"--baseline {baseline.name} contains none of the {len(articles):,} articles of the corpus"
        )


def lists_in_common(old: Model, new: Model, new_of: np.ndarray, old_rows: np.ndarray) -> SharedLists:
    """Return the lists of some articles of both models, without items that only one of them contains.

    `new_of` is (n_old,), the new row of each old row, -1 for none; the rows in `old_rows` have one.
    """
    common = new_of >= 0
    among = np.zeros(len(new.articles), dtype=bool)
    among[new_of[common]] = True
    topics = np.full(len(new.articles), -1, dtype=np.int32)
    topics[new_of[common]] = np.asarray(old.topic_space.first)[common]
    old_lists = displayed_lists_among(old, old_rows, common)
    rows = new_of[old_rows]
    return SharedLists(
        rows=rows,
        new=_padded(displayed_lists_among(new, rows, among)),
        old=_padded(np.where(old_lists == NO_ROW, NO_ROW, new_of[old_lists])),
        old_topics=topics,
    )


def _lists_of_report(report: EvaluationReport, new: Model, new_of: np.ndarray) -> SharedLists:
    ids = new.articles.ids
    old_lists = np.full((len(new_of), LIST_LENGTH), NO_ROW)
    for position, items in enumerate(report.drawn.lists if report.drawn else []):
        item_rows = [row for row in map(ids.find, items[:LIST_LENGTH]) if row is not None]
        old_lists[position, : len(item_rows)] = item_rows
    common = np.flatnonzero(new_of >= 0)
    everything = np.ones(len(ids), dtype=bool)
    rows = new_of[common]
    return SharedLists(rows, _padded(displayed_lists_among(new, rows, everything)), old_lists[common], None)


def _padded(lists: np.ndarray) -> np.ndarray:
    """Return the lists padded to nine items; those of a small corpus are shorter."""
    short = LIST_LENGTH - lists.shape[1]
    return np.pad(lists, ((0, 0), (0, short)), constant_values=NO_ROW)


def _reported_ndcg(new: EvaluationReport, old: EvaluationReport) -> Pairs | None:
    ours, theirs = new.systems[0].per_query, old.systems[0].per_query
    if ours is None or theirs is None:
        return None
    value_of = dict(zip(old.query_ids, theirs.ndcg_at_9, strict=True))
    queries = zip(new.query_ids, ours.ndcg_at_9, new.query_stories, strict=True)
    common = [(value, value_of[query], story) for query, value, story in queries if query in value_of]
    columns = np.array(common, dtype=np.float64).reshape(-1, 3).T
    return Pairs(columns[0], columns[1], _numbered(columns[2]))


def _ndcg(new: Model, old: Model, new_of: np.ndarray, labels: LabelFile) -> Pairs | None:
    common = new_of >= 0
    old_rows = np.flatnonzero(common).tolist()
    labels = _restricted(labels, {old.articles.ids[row] for row in old_rows})
    try:
        judged, judged_old = judgements(labels, new.articles), judgements(labels, old.articles)
    except LabelsError:
        return None
    among = np.zeros(len(new.articles), dtype=bool)
    among[new_of[common]] = True
    ours, theirs = _ndcg_among(new, judged, among), _ndcg_among(old, judged_old, common)
    position_of = {row: position for position, row in enumerate(judged.queries.tolist())}
    positions = [position_of[row] for row in new_of[judged_old.queries].tolist()]
    return Pairs(ours[positions], theirs, judged.stories[positions])


def _restricted(labels: LabelFile, ids: set[str]) -> LabelFile:
    """Return the labels of these articles only."""
    stories = {story: members & ids for story, members in labels.stories.items()}
    grades = {pair: grade for pair, grade in labels.grades.items() if set(pair) <= ids}
    return replace(labels, stories=stories, grades=grades)


def _ndcg_among(model: Model, judged: Judgements, among: np.ndarray) -> np.ndarray:
    ranked = np.asarray(model.neighbors.rows)[judged.queries]
    ranked = np.where((ranked != NO_ROW) & among[ranked], ranked, NO_ROW)
    return measured(ranked, judged, model.articles.titles)[:, 0]


def _headlines_tested(report: EvaluationReport) -> dict[str, bool]:
    if report.drawn is None:
        return {}
    hits = zip(report.drawn.ids, report.drawn.headlines_found, strict=True)
    return {article_id: hit for article_id, hit in hits if hit is not None}


def _numbered(stories: np.ndarray) -> np.ndarray:
    return np.unique(stories, return_inverse=True)[1]
