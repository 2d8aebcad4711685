"""From a trained model to a published version, or to a report that says why there is none."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from recommender.artifact import keep_refused, publish
from recommender.training.evaluation.evaluate import EvaluationReport, evaluate
from recommender.training.evaluation.labels import LabelFile
from recommender.training.readers.corpus import ReadingReport
from recommender.training.release.gate import Verdict, judge
from recommender.training.release.previous import Baseline
from recommender.training.train import Progress, Trained

_SINGLE: Any = {  # what a report says of single articles and queries
    **dict.fromkeys(("query_ids", "query_stories", "drawn"), True),
    "systems": {"__all__": {"per_query"}},
}


class RefusedReport(BaseModel):
    """Why a model was refused, as `models/.refused/` keeps it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int
    refused_at: AwareDatetime
    reasons: list[str]
    verdict: Verdict
    evaluation: EvaluationReport


@dataclass(frozen=True)
class Release:
    """What became of a trained model."""

    verdict: Verdict
    version: str | None  # None: refused
    refused_report: Path | None  # None: published
    seconds: dict[str, float]  # by step


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
    """Measure a model, and publish it if it passes its recipe's gate; else keep a report and no version.

    The manifest of what is published keeps the evaluation and how the gate was passed: with `gate` False also
    a model that would have been refused. Raises LabelsError where the labels do not fit the articles, and
    ArtifactError where nothing can be written.
    """
    now, seconds = now or datetime.now(UTC), {}
    began = time.perf_counter()
    with _step(progress, "quality gate", "models") as done:
        report = evaluate(trained.model, labels, now=now, threads=threads)
        verdict = judge(trained.model, report, reading=reading, baseline=baseline, labels=labels)
        done(1)
    seconds["quality gate"] = time.perf_counter() - began
    if verdict.reasons and gate:
        return Release(verdict, None, _keep(trained, models_dir, report, verdict, now), seconds)
    began = time.perf_counter()
    with _step(progress, "publishing", "versions") as done:
        kept = {"evaluation": report.model_dump(mode="json", exclude=_SINGLE), "gate": verdict.passage}
        manifest = trained.model.manifest.model_copy(update=kept)
        model = replace(trained.model, manifest=manifest)
        version = publish(model, models_dir, now=now, extra_files=trained.extra_files())
        done(1)
    seconds["publishing"] = time.perf_counter() - began
    return Release(verdict, version, None, seconds)


def _step(progress: Progress | None, name: str, unit: str) -> AbstractContextManager[Callable[[float], Any]]:
    return progress.step(name, 1, unit) if progress else nullcontext(lambda _: None)


def _keep(
    trained: Trained, models_dir: str | Path, report: EvaluationReport, verdict: Verdict, now: datetime
) -> Path:
    refused = RefusedReport(
        format=1, refused_at=now, reasons=verdict.reasons, verdict=verdict, evaluation=report
    )
    return keep_refused(refused.model_dump_json(indent=2) + "\n", trained.model, models_dir, now=now)
