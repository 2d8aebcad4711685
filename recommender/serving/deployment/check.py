"""The result of one check of a deployment."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Check:
    """What a check found. `error`: serving does not work, or not safely; `warning`: it works with a loss."""

    name: str
    status: Status
    finding: str
    advice: str = ""  # what to do; empty if all is well


def ok(name: str, finding: str) -> Check:
    """Return the result of a check that found nothing wrong."""
    return Check(name, "ok", finding)


def warning(name: str, finding: str, advice: str) -> Check:
    """Return the result of a check that found a loss."""
    return Check(name, "warning", finding, advice)


def error(name: str, finding: str, advice: str) -> Check:
    """Return the result of a check that found what keeps serving from working."""
    return Check(name, "error", finding, advice)
