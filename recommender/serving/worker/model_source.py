"""The models folder as a worker sees it."""

import logging
from time import monotonic

from recommender.artifact import ArtifactError, current_version, open_current
from recommender.model import Model
from recommender.settings import Settings

_log = logging.getLogger(__name__)


class ModelSource:
    """Opens the current version in the models folder, unless a worker has it open already.

    While that fails, `reason` says why. It is logged once for each reason, and the next attempt is after
    `model_retry_seconds`.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.reason = ""
        self._next_try = 0.0

    @property
    def is_due(self) -> bool:
        """Whether it is time for an attempt."""
        return monotonic() >= self._next_try

    def other_version(self, open_version: str) -> str | None:
        """Return the current version; None if it is the open one, cannot be read, or is not due."""
        if not self.is_due:
            return None
        try:
            version = current_version(self._settings.models_dir)
        except ArtifactError as error:
            self._fail(error, open_version)
            return None
        if version != open_version:
            return version
        self.reason = ""
        return None

    def open(self, open_version: str = "") -> Model | None:
        """Return the model of the current version; None if it is the open one, or if it cannot be opened."""
        if self.other_version(open_version) is None:
            return None
        try:
            model = open_current(self._settings.models_dir, verify=self._settings.verify)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, withdrawals must go on
            self._fail(error, open_version)
            return None
        self.reason = ""
        return model

    def _fail(self, error: Exception, open_version: str) -> None:
        self._next_try = monotonic() + self._settings.model_retry_seconds
        is_expected = isinstance(error, ArtifactError)
        reason = str(error) if is_expected else repr(error)
        if reason != self.reason:
            which = "newer model" if open_version else "model"
            _log.warning("cannot open the %s: %s", which, reason, exc_info=None if is_expected else error)
        self.reason = reason
