"""The logs of a worker: as text or JSON, and one line per response if the access log is on.

No line has an address, a user agent, a path or a query, which may identify readers or say what they search.
"""

import logging
from typing import Any, Literal

from recommender.serving.telemetry.answers import Answer

_ACCESS = "recommender.access"  # the logger
_log = logging.getLogger(_ACCESS)
_FIELDS = "%(levelname)s %(name)s %(message)s"
_NAMES = {"levelname": "level", "name": "logger"}


def logging_config(log_format: Literal["text", "json"]) -> dict[str, Any]:
    """Return the configuration of all loggers, for `logging.config.dictConfig`. Logs go to stderr."""
    as_json = {
        "()": "pythonjsonlogger.json.JsonFormatter",
        "fmt": _FIELDS,
        "rename_fields": _NAMES,
        "timestamp": "time",
    }
    as_text = {"format": f"%(asctime)s {_FIELDS}", "datefmt": "%Y-%m-%dT%H:%M:%S%z"}
    loggers = ("_granian", _ACCESS, "recommender.registry")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"log": as_json if log_format == "json" else as_text},
        "handlers": {"log": {"class": "logging.StreamHandler", "formatter": "log"}},
        "root": {"handlers": ["log"], "level": "WARNING"},
        "loggers": {name: {"level": "INFO"} for name in loggers},
    }


def log_answer(method: str, answer: Answer, seconds: float, request_id: str) -> None:
    """Write a line about a response to the access log."""
    fields = {
        "method": method,
        "call": answer.call,
        "status": int(answer.status),
        "origin": answer.origin,
        "milliseconds": round(1000 * seconds, 3),
        "request_id": request_id,
    }
    _log.info("%s", " ".join(map(str, fields.values())), extra=fields)
