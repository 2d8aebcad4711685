"""What a new model is compared with: a published version, or the report of an earlier evaluation."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from recommender.article import Article
from recommender.artifact import open_version, versions
from recommender.model import Model
from recommender.neighbors import NO_ROW
from recommender.training.evaluation.evaluate import DRAWN, EvaluationReport, newest_published_at
from recommender.training.evaluation.health import shown_among
from recommender.training.evaluation.labels import Judgements, LabelFile, LabelsError, judgements
from recommender.training.evaluation.measures import LIST_LENGTH, measured
from recommender.training.evaluation.probes import drawn, headlines_found


class BaselineError(ValueError):
    """A baseline that cannot be compared with; the message names it and says why."""


@dataclass(frozen=True)
class CorpusSummary:
    """What the guards look at; None: not known."""

    articles: int
    newest_published_at: datetime | None
    terms: int | None


@dataclass(frozen=True)
class Pairs:
    """Values of one measure for the same articles or queries, new and old, NaN where there is none."""

    new: np.ndarray  # (m,) float64
    old: np.ndarray
    stories: np.ndarray  # (m,) int; values of one number are not independent


@dataclass(frozen=True)
class SharedLists:
    """The lists of articles that both sides know, by the new model's rows."""

    rows: np.ndarray  # (m,) int64, in the order of a draw
    new: np.ndarray  # (m, 9) int32, filled up with NO_ROW
    old: np.ndarray  # likewise
    old_topics: np.ndarray | None  # (n,) int32, the first topic of each new row on the old side, -1 for none


@dataclass(frozen=True)
class Baseline:
    """A model, or a report in its place."""

    name: str
    source: Model | EvaluationReport

    @property
    def facts(self) -> CorpusSummary:
        """What the guards look at."""
        if isinstance(self.source, EvaluationReport):
            report = self.source
            return CorpusSummary(report.articles, report.newest_published_at, report.terms)
        corpus = self.source.manifest.corpus
        return CorpusSummary(corpus.articles, newest_published_at(self.source), corpus.terms_kept)

    @cached_property
    def ids(self) -> list[str]:
        """The articles that can be compared: all of a model, those that a report keeps."""
        if isinstance(self.source, EvaluationReport):
            return self.source.drawn.ids if self.source.drawn else []
        return list(self.source.articles.ids)

    def knows(self, article: Article) -> bool:
        """Tell whether the article is among those that can be compared.

        A model has it under its id with the same title, URL or body, for other sites count their posts, too.
        """
        if isinstance(self.source, EvaluationReport):
            return article.id in self._reported
        row = self.source.articles.ids.find(article.id)
        if row is None:
            return False
        own = self.source.articles.article(row)
        pairs = (own.title, article.title), (own.url, article.url), (own.body, article.body)
        return any(ours and ours == theirs for ours, theirs in pairs)

    @cached_property
    def _reported(self) -> frozenset[str]:
        return frozenset(self.ids)

    def known(self, model: Model) -> np.ndarray:
        """Return where the articles are among a model's, (n_old,) int64, -1 for those that it lacks."""
        row_of = {one: row for row, one in enumerate(model.articles.ids)}
        return np.array([row_of.get(one, -1) for one in self.ids], dtype=np.int64)

    def lists(self, model: Model) -> SharedLists:
        """Return the lists of the articles that both know, without articles that only one of them knows."""
        new_of = self.known(model)
        if isinstance(self.source, EvaluationReport):
            return _lists_of_report(self.source, model, new_of)
        return _lists_of_model(self.source, model, new_of)

    def headlines(self, report: EvaluationReport) -> Pairs:
        """Return which headlines alone find their articles, 1 or 0, of those asked on both sides."""
        new = _asked(report)
        if isinstance(self.source, EvaluationReport):
            old = _asked(self.source)
        else:
            rows = {one: row for one in new if (row := self.source.articles.ids.find(one)) is not None}
            found = zip(rows, headlines_found(self.source, rows.values()), strict=True)
            old = {one: hit for one, hit in found if hit is not None}
        both = [one for one in new if one in old]
        values = np.array([(new[one], old[one]) for one in both], dtype=np.float64).reshape(-1, 2)
        return Pairs(values[:, 0], values[:, 1], np.arange(len(both)))

    def ndcg(self, model: Model, report: EvaluationReport, labels: LabelFile) -> Pairs | None:
        """Return nDCG of the queries that both know; None where the old side has no labels of its own.

        Two models are judged on the articles that both know; a report's values stand as they are.
        """
        if isinstance(self.source, EvaluationReport):
            return _reported_ndcg(report, self.source)
        return _ndcg(model, self.source, self.known(model), labels)


def read_baseline(given: str, models_dir: Path) -> Baseline:
    """Return the version of the models folder, or the report, that was named.

    Raises BaselineError where there is neither or the file is no report, ArtifactError for a spoilt version.
    """
    if given in versions(models_dir):
        return Baseline(given, open_version(models_dir, given))
    try:
        text = Path(given).read_bytes()
    except OSError as error:
        raise BaselineError(
            f"--baseline {given} names no version in {models_dir}, and no file ({error.strerror})"
        ) from error
    try:
        report = EvaluationReport.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        told = ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
        raise BaselineError(
            f"--baseline {given} is no report of `recommender evaluate --json`: {told}"
        ) from error
    if report.drawn is None or not report.systems:
        raise BaselineError(f"--baseline {given} keeps no single articles: evaluate again with --json")
    return Baseline(given, report)


def check_common(baseline: Baseline, articles: Collection[Article]) -> None:
    """Raise BaselineError when a baseline knows none of these articles."""
    if not any(map(baseline.knows, articles)):
        raise BaselineError(
            f"--baseline {baseline.name} knows none of the {len(articles):,} articles of the corpus"
        )


def _lists_of_model(old: Model, new: Model, new_of: np.ndarray) -> SharedLists:
    known = new_of >= 0
    old_rows = np.flatnonzero(known)
    places = drawn([old.articles.ids[row] for row in old_rows.tolist()], DRAWN)
    selection = old_rows[places]
    among = np.zeros(len(new.articles), dtype=bool)
    among[new_of[known]] = True
    topics = np.full(len(new.articles), -1, dtype=np.int32)
    topics[new_of[known]] = np.asarray(old.topic_space.first)[known]
    theirs = shown_among(old, selection, known)
    rows = new_of[selection]
    return SharedLists(
        rows=rows,
        new=_nine(shown_among(new, rows, among)),
        old=_nine(np.where(theirs == NO_ROW, NO_ROW, new_of[theirs])),
        old_topics=topics,
    )


def _lists_of_report(report: EvaluationReport, new: Model, new_of: np.ndarray) -> SharedLists:
    ids = new.articles.ids
    theirs = np.full((len(new_of), LIST_LENGTH), NO_ROW)
    for at, line in enumerate(report.drawn.lists if report.drawn else []):
        found = [row for row in map(ids.find, line[:LIST_LENGTH]) if row is not None]
        theirs[at, : len(found)] = found
    kept = np.flatnonzero(new_of >= 0)
    every = np.ones(len(ids), dtype=bool)
    rows = new_of[kept]
    return SharedLists(rows, _nine(shown_among(new, rows, every)), theirs[kept], None)


def _nine(lists: np.ndarray) -> np.ndarray:
    """Return the lists filled up to nine, for a small corpus has shorter ones."""
    short = LIST_LENGTH - lists.shape[1]
    return np.pad(lists, ((0, 0), (0, short)), constant_values=NO_ROW)


def _reported_ndcg(new: EvaluationReport, old: EvaluationReport) -> Pairs | None:
    ours, theirs = new.systems[0].per_query, old.systems[0].per_query
    if ours is None or theirs is None:
        return None
    value_of = dict(zip(old.query_ids, theirs.ndcg_at_9, strict=True))
    queries = zip(new.query_ids, ours.ndcg_at_9, new.query_stories, strict=True)
    both = [(value, value_of[one], story) for one, value, story in queries if one in value_of]
    columns = np.array(both, dtype=np.float64).reshape(-1, 3).T
    return Pairs(columns[0], columns[1], _numbered(columns[2]))


def _ndcg(new: Model, old: Model, new_of: np.ndarray, labels: LabelFile) -> Pairs | None:
    known = new_of >= 0
    old_ids = np.flatnonzero(known).tolist()
    limited = _limited(labels, {old.articles.ids[row] for row in old_ids})
    try:
        judged, judged_old = judgements(limited, new.articles), judgements(limited, old.articles)
    except LabelsError:
        return None
    among = np.zeros(len(new.articles), dtype=bool)
    among[new_of[known]] = True
    ours, theirs = _values(new, judged, among), _values(old, judged_old, known)
    place_of = {row: at for at, row in enumerate(judged.queries.tolist())}
    at_new = [place_of[row] for row in new_of[judged_old.queries].tolist()]
    return Pairs(ours[at_new], theirs, judged.stories[at_new])


def _limited(labels: LabelFile, ids: set[str]) -> LabelFile:
    """Return the labels of these articles alone."""
    stories = {story: members & ids for story, members in labels.stories.items()}
    grades = {pair: grade for pair, grade in labels.grades.items() if set(pair) <= ids}
    return replace(labels, stories=stories, grades=grades)


def _values(model: Model, judged: Judgements, among: np.ndarray) -> np.ndarray:
    ranked = np.asarray(model.neighbors.rows)[judged.queries]
    ranked = np.where((ranked != NO_ROW) & among[ranked], ranked, NO_ROW)
    return measured(ranked, judged, model.articles.titles)[:, 0]


def _asked(report: EvaluationReport) -> dict[str, bool]:
    if report.drawn is None:
        return {}
    found = zip(report.drawn.ids, report.drawn.headlines_found, strict=True)
    return {one: hit for one, hit in found if hit is not None}


def _numbered(stories: np.ndarray) -> np.ndarray:
    return np.unique(stories, return_inverse=True)[1]
