"""The words of all titles: those of the model's articles come with it, those of live articles are added."""

from dataclasses import dataclass
from functools import cached_property
from threading import Lock

import numpy as np

from recommender.model import Model
from recommender.serving.index.documents import Documents
from recommender.serving.index.spelling import Spellings
from recommender.title_words import TitleWords

_MERGE_RATIO = 8  # a new segment merges the previous one if it has at least an eighth of its titles


@dataclass(frozen=True)
class TitleSegment:
    """The words in the titles of a range of rows."""

    index: TitleWords
    row_range: range

    @classmethod
    def of(cls, documents: Documents, model: Model, row_range: range) -> "TitleSegment":
        """Return the words in the titles of these rows."""
        titles = ((documents.titles[row], documents.langs[row]) for row in row_range)
        return cls(TitleWords.of(titles, model.rules, row_range.start), row_range)

    @cached_property
    def spellings(self) -> Spellings:
        """The words of the titles by their letters."""
        return Spellings.of(self.index.words, np.diff(self.index.offsets))


class TitleIndex:
    """The title segments of a model and of live articles, built when someone first searches.

    All snapshots of one model share them, because a row is the same article in all of them.
    """

    def __init__(self) -> None:
        self._segments: tuple[TitleSegment, ...] = ()
        self._lock = Lock()

    def of(self, documents: Documents, model: Model) -> tuple[TitleSegment, ...]:
        """Return segments that contain all rows of the documents, and perhaps later rows."""
        if self._end < len(documents):
            with self._lock:
                if self._end < len(documents):
                    self._segments = self._extended(documents, model)
        return self._segments

    @property
    def _end(self) -> int:
        return self._segments[-1].row_range.stop if self._segments else 0

    def _extended(self, documents: Documents, model: Model) -> tuple[TitleSegment, ...]:
        if not self._segments:  # the segment of the model is never rebuilt
            trained = range(len(documents.trained))
            if model.title_words is None:
                self._segments = (TitleSegment.of(documents, model, trained),)
            else:
                self._segments = (TitleSegment(model.title_words, trained),)
        segments, start = list(self._segments), self._end
        if start == len(documents):
            return self._segments
        while len(segments) > 1 and _MERGE_RATIO * (len(documents) - start) >= len(segments[-1].row_range):
            start = segments.pop().row_range.start
        return (*segments, TitleSegment.of(documents, model, range(start, len(documents))))
