"""The desk of one web worker: its settings, its clock, and the model that is open on it."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock
from time import monotonic

from recommender.artifact import ArtifactError, open_current
from recommender.serving.answers import Standing
from recommender.serving.problems import Problem
from recommender.serving.related import Related
from recommender.settings import Settings

_log = logging.getLogger(__name__)

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


class Desk:
    """What the views of one app share.

    The current model is opened at once. Where none can be, the app answers 503 and looks again, at most once
    in `model_retry_seconds`, when a request needs it.
    """

    def __init__(self, settings: Settings, clock: Clock = utc_now) -> None:
        self.settings = settings
        self.clock = clock
        self._related: Related | None = None
        self._reason = ""
        self._next_try = 0.0
        self._opening = Lock()
        self._open()

    @property
    def related(self) -> Related:
        """The lists of the open model. Raises Problem, with the reason, when none can be opened."""
        if self._related is None:
            self._open()
        if self._related is None:
            raise Problem("no-model", self._reason, headers={"Retry-After": "5"})
        return self._related

    @property
    def is_open(self) -> bool:
        """Whether a model is open now."""
        return self._related is not None

    def standing(self) -> Standing:
        """Return which model answers, and whether it is stale."""
        return Standing.of(self.related.model.manifest, self.clock(), self.settings.stale_after_hours)

    def _open(self) -> None:
        with self._opening:
            if self._related is not None or monotonic() < self._next_try:
                return
            try:
                self._related = Related(open_current(self.settings.models_dir, verify=self.settings.verify))
            except ArtifactError as error:
                self._reason = str(error)
                self._next_try = monotonic() + self.settings.model_retry_seconds
                _log.warning("no model is open: %s", error)
