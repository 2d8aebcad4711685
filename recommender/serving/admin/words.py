"""Numbers and times in words."""

from datetime import UTC, datetime
from math import inf


def utc(moment: datetime | None) -> str:
    """Return a moment such as "3 Nov 2026, 18:00" in UTC; a dash for None."""
    if moment is None:
        return "\u2013"
    moment = moment.astimezone(UTC)
    return f"{moment.day} {moment:%b %Y, %H:%M}"


def date(moment: datetime | None) -> str:
    """Return the date of a moment, such as "3 Nov 2026"; "no date" for None."""
    return "no date" if moment is None else f"{moment.day} {moment:%b %Y}"


def duration(seconds: float) -> str:
    """Return a duration such as "0.8 ms", "12 ms" or "1.2 s"."""
    if seconds == inf:
        return "over 5 s"
    if seconds >= 1:
        return f"{seconds:.1f} s"
    milliseconds = 1000 * seconds
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"  # noqa: PLR2004 one digit


def percent(share: float) -> str:
    """Return a share such as "12 %", "0.4 %" or "under 0.1 %"."""
    if 0 < share < 0.0005:  # noqa: PLR2004 would be 0.0 %
        return "under 0.1 %"
    if 0 < share < 0.1 or 0.995 <= share < 1:  # noqa: PLR2004 one digit, or else 100 %
        return f"{100 * share:.1f} %"
    return f"{100 * share:.0f} %"
