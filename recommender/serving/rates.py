"""How often somebody may ask: an allowance that fills up again as time goes by."""

from dataclasses import dataclass
from threading import Lock

_MAX_NAMES = 65_536  # remembered before those are dropped whose allowance is whole again
_MICROSECONDS_OF = {"second": 1_000_000, "minute": 60_000_000, "hour": 3_600_000_000}


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so long, in microseconds; all of them at once, too."""

    amount: int
    period: int

    @classmethod
    def read(cls, text: str) -> "Rate":
        """Return the rate that a setting spells, such as `100/second`."""
        amount, _, unit = text.partition("/")
        return cls(int(amount), _MICROSECONDS_OF[unit])


class Allowances:
    """Who has used how much of a rate, by name, in the memory of one worker.

    For each name it keeps the moment when its allowance is whole again (the generic cell rate algorithm).
    """

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._whole_at: dict[str, int] = {}
        self._lock = Lock()

    def wait(self, name: str, now: int, cost: int = 1) -> int:
        """Spend, and return 0; or return for how many microseconds the caller must wait, and spend nothing.

        What costs more than the whole allowance takes the whole. A clock that jumps back keeps nobody out.
        """
        rate = self.rate
        with self._lock:
            whole_at = max(self._whole_at.get(name, now), now)
            if whole_at > now + rate.period:
                whole_at = now
            spent = whole_at + min(cost, rate.amount) * rate.period // rate.amount
            if spent > now + rate.period:
                return spent - now - rate.period
            if name not in self._whole_at and len(self._whole_at) >= _MAX_NAMES:
                self._forget(now)
            self._whole_at[name] = spent
            return 0

    def _forget(self, now: int) -> None:
        """Drop whose allowance is whole; and where that frees little, the half that spent the least."""
        kept = sorted((at, name) for name, at in self._whole_at.items() if at > now)
        if len(kept) > _MAX_NAMES // 2:
            kept = kept[-_MAX_NAMES // 2 :]
        self._whole_at = {name: at for at, name in kept}
