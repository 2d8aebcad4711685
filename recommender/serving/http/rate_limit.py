"""A rate limit for each name: an allowance that refills evenly over time.

The limiter is throttled-py's: its memory is bounded, and it returns how long to wait. The library `limits`
was not chosen, because its memory store walks through all addresses of the last hour in a thread.
"""

from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from throttled import MemoryStore, Quota, RateLimiterType, Throttled
from throttled import Rate as PeriodRate

_MAX_NAMES = 65_536  # remembered; beyond that, the name that was used longest ago is forgotten
_SECONDS_OF = {"second": 1, "minute": 60, "hour": 3600}


@dataclass(frozen=True, slots=True)
class Rate:
    """An amount per number of seconds; the whole amount may be spent at once."""

    amount: int
    seconds: int

    @classmethod
    def read(cls, text: str) -> "Rate":
        """Return the rate in a setting such as `100/second`."""
        amount, _, unit = text.partition("/")
        return cls(int(amount), _SECONDS_OF[unit])


class RateLimiter:
    """Limits each name to a rate, in the memory of one worker (generic cell rate algorithm)."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        quota = Quota(PeriodRate(timedelta(seconds=rate.seconds), rate.amount), burst=rate.amount)
        store = MemoryStore(options={"MAX_SIZE": _MAX_NAMES})
        self._limiter = Throttled(using=RateLimiterType.GCRA.value, quota=quota, store=store).limiter

    def spend(self, name: str, cost: int = 1) -> int:
        """Spend the cost and return 0; if too little is left, spend nothing and return the seconds to wait.

        A cost above the whole amount counts as the whole amount.
        """
        result = self._limiter.limit(name, min(cost, self.rate.amount))
        return max(1, ceil(result.state.retry_after)) if result.limited else 0
