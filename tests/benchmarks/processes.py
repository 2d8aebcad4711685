"""Run a command and measure its time and memory."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

_SAMPLE_SECONDS = 0.1
RECOMMENDER = str(Path(sys.executable).with_name("recommender"))


class FailedError(RuntimeError):
    """A command that failed; the message has its exit status and the last line that it printed."""


@dataclass(frozen=True)
class Usage:
    """The time and memory of a command with all its processes, from start to exit."""

    seconds: float
    cpu_seconds: float  # user and system
    peak_mib: float  # the largest sum of PSS over the processes, sampled ten times a second
    output: str = ""  # standard output


def watch(*command: str, environment: Mapping[str, str] | None = None) -> Usage:
    """Run a command and return its usage. Raises FailedError if its exit status is not 0.

    `environment` is added to that of this process. No other child of this process may end meanwhile, because
    its CPU time would be added.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        start, cpu, peak = time.perf_counter(), _cpu_seconds_of_children(), 0
        process = subprocess.Popen(
            command, stdout=output, stderr=errors, env={**os.environ, **(environment or {})}
        )
        try:
            while not _has_ended(process):
                peak = max(peak, _pss_bytes(process.pid))
        except BaseException:  # the benchmark was interrupted
            process.kill()
            raise
        seconds = time.perf_counter() - start
        printed, complaints = _text(output), _text(errors)
    if process.returncode:
        last = (complaints.strip() or printed.strip() or "no output").splitlines()[-1]
        raise FailedError(f"{' '.join(command)}: exit status {process.returncode}: {last}")
    return Usage(seconds, _cpu_seconds_of_children() - cpu, peak / (1 << 20), printed)


def _has_ended(process: "subprocess.Popen[bytes]") -> bool:
    """Wait until the process ends or the next sample is due."""
    try:
        process.wait(_SAMPLE_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _cpu_seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _pss_bytes(pid: int) -> int:
    """Return the sum of PSS over a process and its descendants; those that have just ended count 0."""
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    total = 0
    for process in family:
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total


def _text(file: IO[str]) -> str:
    file.seek(0)
    return file.read()
