"""How often somebody may ask: an allowance that fills up again as time goes by."""

from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from throttled import MemoryStore, Quota, RateLimiterType, Throttled
from throttled import Rate as PeriodRate

_MAX_NAMES = 65_536  # remembered; of more, whoever asked longest ago is forgotten
_SECONDS_OF = {"second": 1, "minute": 60, "hour": 3600}


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so many seconds; all of them at once, too."""

    amount: int
    seconds: int

    @classmethod
    def read(cls, text: str) -> "Rate":
        """Return the rate that a setting spells, such as `100/second`."""
        amount, _, unit = text.partition("/")
        return cls(int(amount), _SECONDS_OF[unit])


class RateLimiter:
    """Who has used how much of a rate, by name, in the memory of one worker (generic cell rate algorithm)."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        quota = Quota(PeriodRate(timedelta(seconds=rate.seconds), rate.amount), burst=rate.amount)
        store = MemoryStore(options={"MAX_SIZE": _MAX_NAMES})
        self._limiter = Throttled(using=RateLimiterType.GCRA.value, quota=quota, store=store).limiter

    def wait(self, name: str, cost: int = 1) -> int:
        """Spend, and return 0; or return for how many seconds the caller must wait, and spend nothing.

        What costs more than the whole allowance takes the whole.
        """
        result = self._limiter.limit(name, min(cost, self.rate.amount))
        return max(1, ceil(result.state.retry_after)) if result.limited else 0
