"""The arrays of a model, by the dotted names of their fields, and the checks of their bounds."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_args

import numpy as np

from recommender.columns import Choice, Labels, Strings
from recommender.fixed_point import SCALE
from recommender.model import Model
from recommender.neighbors import Corrections
from recommender.title_words import TitleWords


def arrays_of(record: Any, prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Yield the arrays of a dataclass and its nested dataclasses, each with its dotted field name."""
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, np.ndarray):
            yield prefix + field.name, value
        elif is_dataclass(value):
            yield from arrays_of(value, f"{prefix}{field.name}.")


def restored(record: type, prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the array and dataclass fields of a dataclass; `arrays` has the arrays by dotted field name."""
    values: dict[str, Any] = {}
    for field in fields(record):
        kinds = get_args(field.type) or (field.type,)  # `X | None` is optional
        name, is_optional = prefix + field.name, type(None) in kinds
        if np.ndarray in kinds:
            values[field.name] = arrays.get(name) if is_optional else arrays[name]
        elif isinstance(kinds[0], type) and is_dataclass(kinds[0]):
            is_missing = is_optional and not any(array.startswith(f"{name}.") for array in arrays)
            values[field.name] = None if is_missing else kinds[0](**restored(kinds[0], f"{name}.", arrays))
    return values


def fault_of(model: Model) -> str:
    """Return the name of an array that does not fit the model, and why; empty if there is none.

    Every row, code and offset is checked, so that no later access can be out of range. Values without a
    range, such as weights and dates, are not checked.
    """
    try:
        return next(_faults(model), "")
    except (ValueError, TypeError, IndexError, AttributeError) as error:  # an array of another shape
        return f"its arrays do not belong together ({error})"


def _faults(model: Model) -> Iterator[str]:
    for name, array in arrays_of(model):
        if array.dtype.kind not in "iuf":
            yield f"{name} contains {array.dtype}, not numbers"
    for name, column in _columns_of(model):
        yield from _column_faults(name, column)
    articles, vectors, vocabulary = model.articles, model.vectors, model.vocabulary
    n, n_terms = len(articles), len(vocabulary.terms)
    for name, column in _columns_of(model.articles, "articles."):
        if name != "articles.url_keys" and not name.endswith(".names"):
            yield from _length(name, len(column), n)
    for name in ("published", "updated", "minutes", "newest"):
        yield from _length(f"articles.{name}", len(getattr(articles, name)), n)
    yield from _outside("articles.newest", articles.newest, 0, n)
    yield from _length("articles.url_rows", len(articles.url_rows), len(articles.url_keys))
    yield from _outside("articles.url_rows", articles.url_rows, 0, n)
    yield from _length("vocabulary.weights", len(vocabulary.weights), n_terms)
    yield from _outside("vocabulary.latent_terms", vocabulary.latent_terms, 0, n_terms)
    yield from _length("vocabulary.components", len(vocabulary.components), len(vocabulary.latent_terms))
    yield from _length("vocabulary.forms", len(vocabulary.forms), len(vocabulary.stems))
    components = vocabulary.components.shape[1]
    entries = len(vectors.columns)
    yield from _length("vectors.offsets", len(vectors.offsets), n + 1)
    yield from _unordered("vectors.offsets", vectors.offsets, entries)
    yield from _length("vectors.values", len(vectors.values), entries)
    yield from _outside("vectors.columns", vectors.columns, 0, n_terms)
    yield from _length("vectors.latent", len(vectors.latent), n)
    given = model.manifest.adapted.vector_length
    yield from _length("vectors.latent's vectors", vectors.latent.shape[1], components + given)
    yield from _given_faults(articles.vectors, vectors.rescale, n, given)
    yield from _length("vectors.term_offsets", len(vectors.term_offsets), n_terms + 1)
    yield from _unordered("vectors.term_offsets", vectors.term_offsets, entries)
    yield from _length("vectors.term_rows", len(vectors.term_rows), entries)
    yield from _outside("vectors.term_rows", vectors.term_rows, 0, n)
    yield from _length("vectors.term_values", len(vectors.term_values), entries)
    yield from _length("neighbors.rows", len(model.neighbors.rows), n)
    yield from _outside("neighbors.rows", model.neighbors.rows, -1, n)
    if model.neighbors.scores.shape != model.neighbors.rows.shape:
        yield "neighbors.scores has another shape than neighbors.rows"
    yield from _length("copies.first", len(model.copies.first), n)
    yield from _outside("copies.first", model.copies.first, 0, n)
    yield from _correction_faults(model.corrections, n)
    if model.title_words is not None:
        yield from _title_faults(model.title_words, n)
    topics, space = len(model.manifest.topics), model.topic_space
    yield from _length("topic_space.centroids", len(space.centroids), topics)
    if topics:
        yield from _length("topic_space.centroids's vectors", space.centroids.shape[1], components)
    yield from _length("topic_space.first", len(space.first), n)
    yield from _outside("topic_space.first", space.first, -1, topics)


def _given_faults(given: np.ndarray | None, rescale: np.ndarray | None, n: int, length: int) -> Iterator[str]:
    if given is None or rescale is None:
        if length or given is not rescale:
            yield "articles.vectors or vectors.rescale is missing"
        return
    yield from _length("articles.vectors", len(given), n)
    yield from _length("articles.vectors's vectors", given.shape[1], length)
    yield from _outside("articles.vectors", given, -SCALE, SCALE + 1)
    yield from _length("vectors.rescale", len(rescale), n)


def _title_faults(title_words: TitleWords, n: int) -> Iterator[str]:
    yield from _length("title_words.offsets", len(title_words.offsets), len(title_words.words) + 1)
    yield from _unordered("title_words.offsets", title_words.offsets, len(title_words.rows))
    yield from _outside("title_words.rows", title_words.rows, 0, n)


def _correction_faults(corrections: Corrections, n: int) -> Iterator[str]:
    for field in fields(corrections):
        yield from _length(f"corrections.{field.name}", len(getattr(corrections, field.name)), n)
    yield from _outside("corrections.nearest", corrections.nearest, -1, n)
    yield from _outside("corrections.expansion_rows", corrections.expansion_rows, 0, n)
    if corrections.expansion_weights.shape != corrections.expansion_rows.shape:
        yield "corrections.expansion_weights has another shape than corrections.expansion_rows"


def _columns_of(record: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, Strings | Labels | Choice):
            yield prefix + field.name, value
        if is_dataclass(value):
            yield from _columns_of(value, f"{prefix}{field.name}.")


def _column_faults(name: str, column: Any) -> Iterator[str]:
    if isinstance(column, Strings):
        yield from _unordered(f"{name}.offsets", column.offsets, len(column.utf8))
    if isinstance(column, Labels):
        yield from _unordered(f"{name}.offsets", column.offsets, len(column.codes))
        yield from _outside(f"{name}.codes", column.codes, 0, len(column.names))
    if isinstance(column, Choice):
        yield from _outside(f"{name}.codes", column.codes, -1, len(column.names))


def _length(name: str, length: int, wanted: int) -> Iterator[str]:
    if length != wanted:
        yield f"{name} has the length {length:,}, not {wanted:,}"


def _outside(name: str, values: np.ndarray, low: int, end: int) -> Iterator[str]:
    """Yield a message if values are not whole numbers from `low` up to but not including `end`."""
    if values.dtype.kind not in "iu":
        yield f"{name} contains {values.dtype}, not whole numbers"
    elif values.size and (values.min() < low or values.max() >= end):
        worst = int(values.min()) if values.min() < low else int(values.max())
        yield f"{name} contains {worst}, which is not from {low} to {end - 1:,}"


def _unordered(name: str, offsets: np.ndarray, end: int) -> Iterator[str]:
    """Yield a message unless offsets ascend from 0 to `end`."""
    if offsets.dtype.kind not in "iu" or offsets.ndim != 1:
        yield f"{name} is not a list of whole numbers"
    elif not len(offsets) or offsets[0] != 0 or offsets[-1] != end or (offsets[1:] < offsets[:-1]).any():
        yield f"{name} does not ascend from 0 to {end:,}"
