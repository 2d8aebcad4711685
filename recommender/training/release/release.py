"""Publish a trained model that passes the quality gate, or write a report of why it was refused."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime

from recommender.artifact import ArtifactError, keep_refused, publish
from recommender.frozen_model import FrozenModel
from recommender.training.assembly import Progress
from recommender.training.evaluation.evaluate import EvaluationReport, evaluate
from recommender.training.evaluation.labels import LabelFile
from recommender.training.readers.report import ReadingReport
from recommender.training.release.gate import Verdict, judge
from recommender.training.release.previous import Baseline
from recommender.training.train import Trained

_PER_ARTICLE: Any = {  # fields of a report with values of single articles and queries
    **dict.fromkeys(("query_ids", "query_stories", "drawn"), True),
    "systems": {"__all__": {"per_query"}},
}


class RefusedReport(FrozenModel):
    """Why a model was refused, as written to `models/.refused/`."""

    format: int
    refused_at: AwareDatetime
    reasons: list[str]
    verdict: Verdict
    evaluation: EvaluationReport


@dataclass(frozen=True)
class Release:
    """The outcome for a trained model: published or refused."""

    verdict: Verdict
    version: str | None  # None: refused
    refused_report: Path | None  # None: published, or the report could not be written
    seconds: dict[str, float]  # by step
    report_fault: str = ""  # why the report of a refused model could not be written


def release(
    trained: Trained,
    models_dir: str | Path,
    *,
    baseline: Baseline | None = None,
    labels: LabelFile | None = None,
    reading: ReadingReport | None = None,
    gate: bool = True,
    now: datetime | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Release:
    """Measure a model, and publish it if it passes its recipe's gate; otherwise write a report.

    The manifest of the published version contains the evaluation and a summary of the verdict. With `gate`
    False, a model that fails the gate is published, too. Raises LabelsError if the labels do not match the
    articles, and ArtifactError if the version cannot be written. A report that cannot be written does not
    change the outcome: the model is refused.
    """
    now, seconds = now or datetime.now(UTC), {}
    start = time.perf_counter()
    with _step(progress, "quality gate", "models") as done:
        report = evaluate(trained.model, labels, now=now, threads=threads)
        verdict = judge(trained.model, report, reading=reading, baseline=baseline, labels=labels)
        done(1)
    seconds["quality gate"] = time.perf_counter() - start
    if verdict.reasons and gate:
        try:
            path = _write_refused(trained, models_dir, report, verdict, now)
        except ArtifactError as error:
            return Release(verdict, None, None, seconds, report_fault=str(error))
        return Release(verdict, None, path, seconds)
    start = time.perf_counter()
    with _step(progress, "publishing", "versions") as done:
        evaluation = report.model_dump(mode="json", exclude=_PER_ARTICLE)
        update = {"evaluation": evaluation, "gate": verdict.summary}
        manifest = trained.model.manifest.model_copy(update=update)
        model = replace(trained.model, manifest=manifest)
        version = publish(model, models_dir, now=now, extra_files=trained.extra_files())
        done(1)
    seconds["publishing"] = time.perf_counter() - start
    return Release(verdict, version, None, seconds)


def _step(progress: Progress | None, name: str, unit: str) -> AbstractContextManager[Callable[[float], Any]]:
    return progress.step(name, 1, unit) if progress else nullcontext(lambda _: None)


def _write_refused(
    trained: Trained, models_dir: str | Path, report: EvaluationReport, verdict: Verdict, now: datetime
) -> Path:
    refused = RefusedReport(
        format=1, refused_at=now, reasons=verdict.reasons, verdict=verdict, evaluation=report
    )
    return keep_refused(refused.model_dump_json(indent=2) + "\n", trained.model, models_dir, now=now)
