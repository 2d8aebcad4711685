"""Memory and descriptors of a server over time, and whether they grow."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

import psutil

_MIN_SAMPLES = 40  # fewer do not show growth, because caches are still being filled
_MORE_MEMORY, _MORE_MIB = 1.1, 16.0  # growth that is not a fault
_MORE_DESCRIPTORS = 160  # of two open models, while workers switch


@dataclass(frozen=True)
class Sample:
    """What a server uses with all its workers."""

    seconds: float  # since the start of the load
    pss_mib: float
    descriptors: int

    @classmethod
    def of(cls, pid: int, seconds: float) -> "Sample":
        """Measure a server and its workers; those that have just ended count 0."""
        server = psutil.Process(pid)
        pss = descriptors = 0
        for process in [server, *server.children(recursive=True)]:
            try:
                pss += process.memory_full_info().pss
                descriptors += process.num_fds()
            except psutil.Error:
                continue
        return cls(round(seconds, 1), round(pss / (1 << 20), 1), descriptors)

    def as_json(self) -> dict[str, float]:
        """Return the sample for a report."""
        return asdict(self)


def growth(samples: Sequence[Sample]) -> list[str]:
    """Compare the median of the last quarter with that of the second one; return what has grown.

    Single samples differ, because a worker that was killed is missing, and two models are open for a moment.
    """
    if len(samples) < _MIN_SAMPLES:
        return []
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    grown = []
    before, after = (median(sample.pss_mib for sample in part) for part in (early, late))
    if after > before * _MORE_MEMORY + _MORE_MIB:
        grown.append(f"memory from {before:.0f} to {after:.0f} MiB")
    before, after = (median(sample.descriptors for sample in part) for part in (early, late))
    if after > before + _MORE_DESCRIPTORS:
        grown.append(f"descriptors from {before:.0f} to {after:.0f}")
    return grown
