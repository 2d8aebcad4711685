"""The compiled part of `exact`: the list of each query from the similarities that are known, and bounds."""

from typing import Annotated

import numba
import numpy as np

from recommender.training.kernels import (
    Bools,
    Float32Rows,
    Float32s,
    Int32Rows,
    Int32s,
    Int64s,
    OutBools,
    OutFloat32Rows,
    OutFloat32s,
    OutFloat64s,
    OutInt32Rows,
    OutInt32s,
    OutUint8s,
    inner,
    kernel,
)
from recommender.training.neighbors.pairs import dot, mark, marked, rescaled, unmark

EXPANSION = np.dtype([("row", np.int32), ("weight", np.float32)])  # what expands an article
_LEAST = -4.0  # lower than any similarity less a penalty
_ROUNDING = 1e-12  # more than the error of a sum of a few numbers below 1
Expansion = Annotated[np.ndarray, numba.types.Array(numba.from_dtype(EXPANSION), 2, "C", readonly=True)]


@kernel
def fill_rows(  # noqa: C901, PLR0912, PLR0915 one loop over queries, one compiled function
    queries: Int64s,
    offsets: Int64s,
    columns: Int32s,
    values: Float32s,
    latent: Float32Rows,
    term_weight: np.float32,
    latent_weight: np.float32,
    nearest: Int32s,
    feedback: Float32s,
    hubs: Float32s,
    expansion: Expansion,
    reverse_offsets: Int64s,
    reverse_rows: Int32s,
    first: Int32s,
    alone: Bools,
    own: Float32s,
    candidates: Int32Rows,
    similarity: Float32Rows,
    counts: Int64s,
    floors: Float32s,
    line: OutFloat32Rows,
    marks: OutUint8s,
    known: OutFloat32Rows,
    is_member: OutBools,
    above: OutFloat64s,
    is_known: OutBools,
    touched: OutInt32s,
    found: OutInt32s,
    rescale: Float32s,
    best: OutInt32Rows,
    scores: OutFloat32Rows,
    lead: OutFloat64s,
) -> None:
    """Make the lists of some rows.

    `known` has the similarities, less the penalty, of each article to the query and to the article that it
    moves towards, `is_known` whether both are there, `above` how much more they add to a score than `bounds`
    do, and `touched` the articles that have any. All these must be zero, except `known`: not a number.
    """
    width = expansion.shape[1]
    for row in queries:
        other, share, hidden = nearest[row], np.float64(feedback[row]), -1 if alone[row] else first[row]
        if other < 0:
            other, share = row, np.float64(0.0)
        touched[0], touched[1] = row, other
        size = 1 if other == row else 2
        for side in range(1 if share == 0.0 else 2):
            source = row if side == 0 else other
            for place in range(counts[source]):
                candidate = candidates[source, place]
                is_new = np.isnan(known[candidate, 0]) and np.isnan(known[candidate, 1])
                if is_new and candidate not in (row, other):
                    touched[size] = candidate
                    size += 1
                known[candidate, side] = similarity[source, place] - hubs[candidate]
        known[other, 1] = own[other] - hubs[other]
        bounds = max(np.float64(floors[row]), _LEAST), max(np.float64(floors[other]), _LEAST)
        members = _members(touched[:size], reverse_offsets, reverse_rows, is_member)
        plain = _plain(bounds[0], bounds[1], share)
        for at in range(size):
            part = touched[at]
            one, two = np.float64(known[part, 0]), np.float64(known[part, 1])
            is_known[part] = not np.isnan(one) and (share == 0.0 or not np.isnan(two))
            one = np.float64(bounds[0]) if np.isnan(one) else one
            two = np.float64(bounds[1]) if np.isnan(two) else two
            above[part] = _plain(one, two, share) - plain
        filled, pending = 0, 0
        upper = np.empty(len(members), dtype=np.float32)
        for at in range(len(members)):
            member = members[at]
            if member == row:
                continue
            sums, total, is_exact = above[member], np.float64(1.0), is_known[member]
            for neighbor in range(width):
                part, weight = expansion[member, neighbor].row, np.float64(expansion[member, neighbor].weight)
                if part == row or (hidden >= 0 and first[part] == hidden):
                    continue
                sums += weight * above[part]
                total += weight
                is_exact &= is_known[part] | (weight == 0.0)
            if is_exact:
                score = _bound(member, known, share, bounds, expansion, first, row, hidden)
                filled = _insert(best[row], scores[row], filled, member, np.float32(score))
            else:
                members[pending], upper[pending] = member, np.float32(plain + sums / total + _ROUNDING)
                pending += 1
        least = scores[row, filled - 1] if filled == best.shape[1] else np.float32(-np.inf)
        pending = _heap_above(members, upper, pending, least)
        has_pending = pending > 0
        if has_pending:
            for side in range(2):
                of_side = row if side == 0 else other
                _write(offsets, columns, values, of_side, side, line)
                mark(offsets, columns, of_side, marks)
        while pending > 0 and (filled < best.shape[1] or upper[0] >= scores[row, filled - 1]):
            member = members[0]
            pending -= 1
            _sink(members, upper, pending, 0, members[pending], upper[pending])
            score = _bound(member, known, share, bounds, expansion, first, row, hidden)
            for neighbor in range(-1, width):  # the heaviest part first, as long as the bound is high enough
                if filled == best.shape[1] and np.float32(score) < scores[row, filled - 1]:
                    break
                needed = member if neighbor < 0 else expansion[member, neighbor].row
                if np.isnan(known[needed, 0]) or (share > 0.0 and np.isnan(known[needed, 1])):
                    is_new = np.isnan(known[needed, 0]) and np.isnan(known[needed, 1])
                    if is_new and needed not in (row, other):
                        touched[size] = needed
                        size += 1
                    _score(
                        offsets, columns, values, latent, term_weight, latent_weight, hubs, line, marks,
                        found, rescale, row, other, needed, known,
                    )  # fmt: skip
                    score = _bound(member, known, share, bounds, expansion, first, row, hidden)
            filled = _insert(best[row], scores[row], filled, member, np.float32(score))
        if has_pending:
            for of_side in (row, other):
                _clear(offsets, columns, of_side, line)
                unmark(offsets, columns, of_side, marks)
        for at in range(size):
            known[touched[at], 0] = known[touched[at], 1] = np.nan
            above[touched[at]], is_known[touched[at]] = 0.0, False
        last = np.float64(scores[row, filled - 1]) if filled == best.shape[1] else -np.inf
        lead[row] = last - plain if last > -np.inf else last


@inner
def _members(
    touched: np.ndarray, reverse_offsets: np.ndarray, reverse_rows: np.ndarray, is_member: np.ndarray
) -> np.ndarray:
    """Return the articles whose expanded score contains a known similarity; `is_member` must be false."""
    size = len(touched)
    for at in range(len(touched)):
        size += reverse_offsets[touched[at] + 1] - reverse_offsets[touched[at]]
    members = np.empty(size, dtype=np.int64)
    count = 0
    for place in range(len(touched)):
        row = touched[place]
        if not is_member[row]:
            is_member[row], members[count] = True, row
            count += 1
        for at in range(reverse_offsets[row], reverse_offsets[row + 1]):
            expanded = reverse_rows[at]
            if not is_member[expanded]:
                is_member[expanded], members[count] = True, expanded
                count += 1
    for at in range(count):
        is_member[members[at]] = False
    return members[:count]


@inner
def _bound(
    member: int,
    known: np.ndarray,
    share: float,
    bounds: tuple[float, float],
    expansion: np.ndarray,
    first: np.ndarray,
    row: int,
    hidden: int,
) -> float:
    """Return an upper bound of an article's expanded score, or the score if all its similarities are known.

    `hidden` is the cluster of copies of the query's row, -1 if it has no copies.
    """
    total, score = np.float64(1.0), np.float64(0.0)
    for neighbor in range(-1, expansion.shape[1]):
        part, weight = member, np.float64(1.0)
        if neighbor >= 0:
            part, weight = expansion[member, neighbor].row, np.float64(expansion[member, neighbor].weight)
            if weight == 0.0 or part == row or (hidden >= 0 and first[part] == hidden):
                continue
            total += weight
        one, two = np.float64(known[part, 0]), np.float64(known[part, 1])
        one = np.float64(bounds[0]) if np.isnan(one) else one
        two = np.float64(bounds[1]) if np.isnan(two) else two
        score += weight * _plain(one, two, share)
    return score / total


@inner
def _plain(one: float, two: float, share: float) -> float:
    """Return the score for a query that moves towards another one, from the similarity to both."""
    return (one + share * (two if share != 0.0 else np.float64(0.0))) / (1.0 + share)


@inner
def _heap_above(members: np.ndarray, upper: np.ndarray, count: int, least: np.float32) -> int:
    """Make a heap of the members with a bound of `least` or more, the highest first; return their number."""
    size = 0
    for at in range(count):
        if upper[at] >= least:
            members[size], upper[size] = members[at], upper[at]
            size += 1
    for at in range(size // 2 - 1, -1, -1):
        _sink(members, upper, size, at, members[at], upper[at])
    return size


@inner
def _sink(members: np.ndarray, upper: np.ndarray, size: int, at: int, member: int, bound: np.float32) -> None:
    """Put a member where it belongs in the heap, at a place or below it."""
    child = 2 * at + 1
    while child < size:
        if child + 1 < size and upper[child + 1] > upper[child]:
            child += 1
        if upper[child] <= bound:
            break
        members[at], upper[at] = members[child], upper[child]
        at, child = child, 2 * child + 1
    members[at], upper[at] = member, bound


@inner
def _insert(best: np.ndarray, scores: np.ndarray, filled: int, row: int, score: np.float32) -> int:
    """Insert a row into a list sorted by score and row; a full list loses its last. Return its length."""
    if filled == len(best):
        last = filled - 1
        if score < scores[last] or (score == scores[last] and row > best[last]):
            return filled
        filled -= 1
    at = filled
    while at > 0 and (scores[at - 1] < score or (scores[at - 1] == score and best[at - 1] > row)):
        best[at], scores[at] = best[at - 1], scores[at - 1]
        at -= 1
    best[at], scores[at] = row, score
    return filled + 1


@inner
def _write(
    offsets: np.ndarray, columns: np.ndarray, values: np.ndarray, row: int, side: int, line: np.ndarray
) -> None:
    """Write the terms of a row to one side of the dense line."""
    for at in range(offsets[row], offsets[row + 1]):
        line[columns[at], side] = values[at]


@inner
def _clear(offsets: np.ndarray, columns: np.ndarray, row: int, line: np.ndarray) -> None:
    """Undo `_write`."""
    for at in range(offsets[row], offsets[row + 1]):
        line[columns[at], 0] = line[columns[at], 1] = 0.0


@inner
def _score(
    offsets: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    latent: np.ndarray,
    term_weight: np.float32,
    latent_weight: np.float32,
    hubs: np.ndarray,
    line: np.ndarray,
    marks: np.ndarray,
    found: np.ndarray,
    rescale: np.ndarray,
    row: int,
    other: int,
    candidate: int,
    known: np.ndarray,
) -> None:
    """Compute both similarities of a candidate, less its penalty, from the two rows in the dense line."""
    start, one, two = np.uint64(offsets[candidate]), np.float32(0.0), np.float32(0.0)
    for place in range(marked(offsets, columns, candidate, marks, found)):
        entry = start + np.uint64(found[place])
        term = np.uint32(columns[entry])
        one += line[term, 0] * values[entry]  # 0 for a term of neither row
        two += line[term, 1] * values[entry]
    space = dot(latent[row], latent[candidate])
    other_space = dot(latent[other], latent[candidate])
    similarity = term_weight * one + latent_weight * space
    other_similarity = term_weight * two + latent_weight * other_space
    known[candidate, 0] = rescaled(similarity, rescale, row, candidate) - hubs[candidate]
    known[candidate, 1] = rescaled(other_similarity, rescale, other, candidate) - hubs[candidate]


@kernel
def write_corrected(
    similarity: Float32s,
    other: Float32s,
    share: float,
    hubs: Float32s,
    expansion: Expansion,
    first: Int32s,
    hidden: int,
    plain: OutFloat64s,
    scores: OutFloat32s,
) -> None:
    """Write the corrected score of every article, added up as in `_bound`; `plain` is scratch space."""
    for row in range(len(hubs)):
        one, two = np.float64(similarity[row] - hubs[row]), np.float64(other[row] - hubs[row])
        plain[row] = _plain(one, two, share)
    for row in range(len(hubs)):
        score, total = plain[row], 1.0
        for neighbor in range(expansion.shape[1]):
            part, weight = expansion[row, neighbor].row, np.float64(expansion[row, neighbor].weight)
            if first[part] == hidden or weight == 0.0:
                continue
            total += weight
            score += weight * plain[part]
        scores[row] = np.float32(score / total)
