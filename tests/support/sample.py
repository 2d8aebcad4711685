"""The time at which the tests train the sample newsroom."""

from datetime import UTC, datetime

NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)  # after the newest article of the sample
