"""The desk of one web worker: its settings, its clock, and what it knows of the newsroom."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime

from recommender.serving.answers import RankOf, Standing
from recommender.serving.lists import ListQuery
from recommender.serving.live import Live, NothingOpenError
from recommender.serving.popular import Popular
from recommender.serving.problems import Problem
from recommender.serving.related import Related
from recommender.serving.rules import Active, Rules
from recommender.serving.store import Store
from recommender.serving.turns import Turn
from recommender.settings import Settings
from recommender.trending import DEFAULT_WINDOW, EVENT_WEIGHTS, windows

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


class Desk:
    """What the views of one app share: settings, clock, store, and what is known of the newsroom.

    The current model is opened at once. Where none can be, the app answers 503 and looks again, at most once
    in `model_retry_seconds`, when a request needs it.
    """

    def __init__(self, settings: Settings, clock: Clock = utc_now, turn: Turn = nullcontext) -> None:
        self.settings = settings
        self.clock = clock
        self._turn = turn  # at scoring the whole corpus
        weights = {**EVENT_WEIGHTS, **settings.weight_of}
        self.store = Store(
            settings.database_url,
            visitor_window_minutes=settings.visitor_window_minutes,
            source_window_minutes=settings.source_window_minutes,
            source_cap=settings.source_cap,
            weights=weights,
        )
        self.live = Live(settings, self.store)
        self.popular = Popular(self.store, weights=weights, windows=windows(settings.half_life_of))
        self._related: Related | None = None
        self._ruled: tuple[Rules, datetime, Active] | None = None

    @property
    def related(self) -> Related:
        """The lists of this moment: of the present edition, under the rules that act now.

        Raises Problem, with the reason, when there is no edition to answer from.
        """
        try:
            edition = self.live.edition
        except NothingOpenError as error:
            kind = "store-down" if error.is_store else "no-model"
            raise Problem(kind, str(error), headers={"Retry-After": "5"}) from None
        related, active = self._related, self._active()
        if related is None or related.edition is not edition or related.rules.active is not active:
            related = self._related = Related(edition, active, self._turn)
        return related

    @property
    def is_open(self) -> bool:
        """Whether there is something to answer from."""
        return self.live.state.edition is not None and self.live.state.is_known

    def standing(self) -> Standing:
        """Return which model answers, whether it is stale, and what is missing."""
        manifest = self.related.model.manifest
        return Standing.of(manifest, self.clock(), self.settings.stale_after_hours, self.live.degraded)

    def in_trend(self, query: ListQuery, now: datetime) -> tuple[ListQuery, RankOf | None]:
        """Return the query of a list with what trends now, and the ranks that its items are to tell.

        A list that is not to tell them takes the ranks that are there, and never waits for the store.
        """
        related, board = self.related, self.popular.latest(self.related)
        if query.include_trending:
            board = self.popular.boards(related, now).board(DEFAULT_WINDOW)
        if board is None:
            return query, None
        return replace(query, trending=board.top), board.rank if query.include_trending else None

    def _active(self) -> Active:
        """Return the rules that act now; the same object for as long as just these do."""
        rules, now, ruled = self.live.state.rules, self.clock(), self._ruled
        if ruled is not None and ruled[0] is rules and ruled[1] <= now:
            boundary = ruled[2].boundary
            if boundary is None or now < boundary:
                return ruled[2]
        active = rules.active(now)
        self._ruled = rules, now, active
        return active
