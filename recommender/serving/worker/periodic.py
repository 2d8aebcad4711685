"""Threads of a worker that repeat a task."""

import logging
from abc import ABC, abstractmethod
from threading import Event, Thread


class Periodic(ABC):
    """Calls `run_once` in a thread, repeatedly; an unexpected error is logged and ends only that call."""

    def __init__(self, name: str, interval_seconds: float, error_message: str) -> None:
        self._name, self._interval_seconds, self._error_message = name, interval_seconds, error_message
        self._stopped = Event()

    @abstractmethod
    def run_once(self) -> object:
        """Do what is due now."""

    def start(self) -> None:
        """Start the thread; its first call is after one interval."""
        Thread(target=self._run, name=self._name, daemon=True).start()

    def stop(self) -> None:
        """End the thread after the current call."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval_seconds):
            try:
                self.run_once()
            except Exception:  # the outermost loop of a thread, which must go on
                logging.getLogger(type(self).__module__).exception(self._error_message)
