"""Run a command and measure its time and memory."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

_SAMPLE_SECONDS = 0.2
RECOMMENDER = str(Path(sys.executable).with_name("recommender"))


@dataclass(frozen=True)
class Usage:
    """The time and memory of a command; memory is the peak sum of PSS over its processes."""

    seconds: float
    peak_mib: float


def watch(*command: str) -> Usage:
    """Run a command and return its usage. Raises CalledProcessError if it fails."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, _pss(process.pid))
        time.sleep(_SAMPLE_SECONDS)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Usage(time.perf_counter() - start, peak / (1 << 20))


def _pss(pid: int) -> int:
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
        return sum(process.memory_full_info().pss for process in family)
    except psutil.NoSuchProcess:
        return 0
