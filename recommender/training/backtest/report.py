"""The result of a backtest: the measures of each definition of trending and of each half-life."""

from typing import Any

import pandas as pd
from pydantic import AwareDatetime

from recommender.frozen_model import FrozenModel
from recommender.summary import Summarized


class DefinitionResult(FrozenModel):
    """The measures of one definition."""

    name: str
    label: str
    overlap: float  # share of the most-read articles that its list contains
    ndcg: float  # of its list, with the reads in the horizon as gains
    churn: float  # articles replaced per refresh
    full: float  # share of its lists that need no filling up with the newest articles
    burst_minutes: float | None  # median time until a burst is listed; None: not within an hour
    flood_rank: int | None  # the best rank that a flood reaches if every view counts
    capped_flood_rank: int | None  # the same with the caps of the service


class HalfLifeResult(FrozenModel):
    """The measures of our definition with one half-life, on the part of the log used for fitting."""

    half_life_minutes: float
    overlap: float
    ndcg: float
    churn: float
    steady: bool  # its churn is low enough

    @property
    def quality(self) -> float:
        """The mean of overlap and nDCG, by which half-lives are chosen."""
        return (self.overlap + self.ndcg) / 2


class BacktestReport(Summarized, FrozenModel):
    """A backtest: the log, the half-life that fits best, and the results of all definitions, ours first.

    >>> backtest_report.table.index[0]
    'ours (12 min)'
    """

    events: float
    articles: int
    begin: AwareDatetime  # of the reported part
    end: AwareDatetime
    fitted_on: tuple[AwareDatetime, AwareDatetime] | None
    top: int
    horizon_minutes: int
    refresh_minutes: int
    half_life_minutes: float  # the fitted one, or the default
    bursts: int
    floods: int
    truth_churn: float  # of the ideal list, made from the reads in the horizon
    rows: list[DefinitionResult]
    half_lives: list[HalfLifeResult]  # the candidates; empty if nothing was fitted

    def row(self, name: str) -> DefinitionResult:
        """Return the row of a definition. Raises KeyError."""
        return {row.name: row for row in self.rows}[name]

    @property
    def table(self) -> pd.DataFrame:
        """The measures of each definition, ours first.

        `overlap` (share of the most-read articles that are listed), `ndcg`, `churn` (articles replaced per
        list), `full` (share of lists that need no filling up), `burst_minutes` (median time until a burst is
        listed), `flood_rank` and `capped_flood_rank` (the best rank of a flood from one reader, if all of it
        counts and as the service counts it). NaN: not listed within an hour, or not measured.
        """
        names = [name for name in DefinitionResult.model_fields if name not in {"name", "label"}]
        rows = [[getattr(row, name) for name in names] for row in self.rows]
        index = pd.Index([row.label for row in self.rows], name="definition")
        return pd.DataFrame(rows, index=index, columns=names, dtype=float)

    @property
    def half_life_table(self) -> pd.DataFrame:
        """The measures of each half-life on the part of the log used for fitting; empty without fitting.

        `overlap`, `ndcg` and `churn` are those of `table`. `steady`: the churn is low enough for the
        half-life to be chosen.
        """
        rows: Any = [result.model_dump() for result in self.half_lives]
        return pd.DataFrame(rows, columns=list(HalfLifeResult.model_fields)).set_index("half_life_minutes")

    def summary(self) -> dict[str, str]:
        """Return what was replayed, the half-life, and the measures of our definition."""
        ours = self.rows[0]
        return {
            "Events": f"{self.events:,.0f} of {self.articles:,} articles",
            "Reported": f"{self.begin:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M} UTC",
            "Best half-life" if self.fitted_on else "Half-life": f"{self.half_life_minutes:g} min",
            ours.label: f"overlap {ours.overlap:.3f}, nDCG {ours.ndcg:.3f}, churn {ours.churn:.3f}",
        }
