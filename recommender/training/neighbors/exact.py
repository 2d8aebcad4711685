"""Scores in double precision: the best articles of each row, and a row against all articles.

After document expansion, the score of an article is the weighted mean of its own score and the scores of a
few neighbours. The scores of a row's candidates are known; no other score exceeds a bound. So an article that
is not a candidate, and has no candidate among its neighbours, does not exceed this bound either. All other
articles are visited in the order of their own upper bounds, the highest first, until k exact scores are
higher than the next bound (the threshold algorithm: Fagin et al. 2003).
"""

import numpy as np

from recommender.model import Vectors
from recommender.neighbors import NO_ROW, Corrections
from recommender.training.kernels import (
    Float32Rows,
    Float32s,
    Float64s,
    Int32Rows,
    Int32s,
    Int64s,
    OutBools,
    OutFloat32Rows,
    OutFloat32s,
    OutFloat64s,
    OutInt32Rows,
    OutUint8s,
    inner,
    kernel,
)
from recommender.training.neighbors.tiles import MARGIN, Best


class ReverseExpansion:
    """Which articles each article expands: those of row i are `rows[offsets[i]:offsets[i + 1]]`."""

    def __init__(self, corrections: Corrections) -> None:
        n, width = corrections.expansion_rows.shape
        expands = corrections.expansion_weights > 0
        neighbors = corrections.expansion_rows[expands]
        owners = np.repeat(np.arange(n, dtype=np.int32), width)[expands.ravel()]
        self.offsets = np.concatenate([[0], np.cumsum(np.bincount(neighbors, minlength=n))])
        self.rows = owners[np.argsort(neighbors, kind="stable")]


def best_lists(
    vectors: Vectors,
    weight: float,
    corrections: Corrections,
    reverse: ReverseExpansion,
    first: np.ndarray,
    rows: np.ndarray,
    candidates: Best,
    k: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the k best articles of each row, their scores, and what the last score is above all others.

    The shapes are (m, k) int32, best first, (m, k) float32 and (m,) float64. Equal scores are in row order.
    The `candidates` of a row and of the row that it moves towards limit the score of any article before
    expansion: a candidate's is known in single precision, and no other score is above the last of them.
    Other articles may belong in the list if its last score is not above these. `first` is that of the
    near-duplicates: a row and its copies expand no article in its list.
    """
    n, n_terms = len(vectors.offsets) - 1, len(vectors.term_offsets) - 1
    best = np.full((len(rows), k), NO_ROW, dtype=np.int32)
    scores = np.full((len(rows), k), -np.inf, dtype=np.float32)
    least, nearest = candidates.scores[:, 0].astype(np.float64), corrections.nearest[rows]
    share = np.where(nearest == NO_ROW, 0, corrections.feedback[rows]).astype(np.float64)
    bounds = (least[rows] + share * least[nearest]) / (1 + share)
    _best_lists(
        vectors.offsets, vectors.columns, vectors.values, vectors.latent, weight, corrections.nearest,
        corrections.feedback, corrections.hubs, corrections.expansion_rows, corrections.expansion_weights,
        reverse.offsets, reverse.rows, first, rows, candidates.rows, candidates.scores, bounds, MARGIN,
        np.zeros(n_terms, dtype=np.float32), np.zeros(n_terms // 8 + 1, dtype=np.uint8), np.full(n, np.nan),
        np.full(n, np.nan), np.zeros(n, dtype=np.bool_), best, scores,
    )  # fmt: skip
    return best, scores, scores[:, -1] - bounds


def row_scores(
    vectors: Vectors, weight: float, corrections: Corrections, first: np.ndarray, row: int
) -> np.ndarray:
    """Return the score of every article for a row, (n,) float32, bit-identical to `best_lists`."""
    scores = np.zeros(len(vectors.offsets) - 1, dtype=np.float64)
    _score_row(
        vectors.offsets, vectors.columns, vectors.values, vectors.latent, weight, corrections.nearest,
        corrections.feedback, corrections.hubs, vectors.term_offsets, vectors.term_rows,
        vectors.term_values, row, scores,
    )  # fmt: skip
    expanded = np.empty(len(scores), dtype=np.float32)
    _expand(scores, corrections.expansion_rows, corrections.expansion_weights, first, first[row], expanded)
    return expanded


@inner
def _moved_terms(
    offsets: np.ndarray, columns: np.ndarray, values: np.ndarray, row: int, other: int, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the terms of a row moved towards another row, ascending, and their float32 values."""
    a, a_end = offsets[row], offsets[row + 1]
    b, b_end = (offsets[other], offsets[other + 1]) if other >= 0 else (0, 0)
    terms = np.empty(a_end - a + b_end - b, dtype=np.int32)
    moved = np.empty(len(terms), dtype=np.float32)
    out = 0
    while a < a_end or b < b_end:
        value = 0.0
        term = columns[a] if a < a_end and (b >= b_end or columns[a] <= columns[b]) else columns[b]
        if a < a_end and columns[a] == term:
            value += np.float64(values[a])
            a += 1
        if b < b_end and columns[b] == term:
            value += share * np.float64(values[b])
            b += 1
        terms[out], moved[out] = term, np.float32(value / (1.0 + share))
        out += 1
    return terms[:out], moved[:out]


@inner
def _moved_latent(latent: np.ndarray, row: int, other: int, share: float) -> np.ndarray:
    """Return the latent vector of a row moved towards another row, float32."""
    moved = np.empty(latent.shape[1], dtype=np.float32)
    for component in range(latent.shape[1]):
        value = np.float64(latent[row, component])
        if other >= 0:
            value += share * np.float64(latent[other, component])
        moved[component] = np.float32(value / (1.0 + share))
    return moved


@kernel
def _best_lists(
    offsets: Int64s,
    columns: Int32s,
    values: Float32s,
    latent: Float32Rows,
    weight: float,
    nearest: Int32s,
    feedback: Float32s,
    hubs: Float32s,
    expansion_rows: Int32Rows,
    expansion_weights: Float32Rows,
    reverse_offsets: Int64s,
    reverse_rows: Int32s,
    first: Int32s,
    rows: Int64s,
    candidates: Int32Rows,
    candidate_scores: Float32Rows,
    bounds: Float64s,
    margin: float,
    line: OutFloat32s,
    marks: OutUint8s,
    known: OutFloat64s,
    limits: OutFloat64s,
    is_member: OutBools,
    best: OutInt32Rows,
    scores: OutFloat32Rows,
) -> None:
    """Fill `best` and `scores`; `line`, `marks`, `is_member` must be zero, `known`, `limits` not a number."""
    for at in range(len(rows)):
        row, other = rows[at], nearest[rows[at]]
        share, hidden = np.float64(feedback[row]), first[row]
        terms, moved = _moved_terms(offsets, columns, values, row, other, share)
        direction = _moved_latent(latent, row, other, share)
        _write(terms, moved, line, marks)
        limited = _limit(candidates, candidate_scores, row, other, share, limits)
        members = _members(limited, reverse_offsets, reverse_rows, is_member)
        upper = _upper_bounds(members, limits, expansion_rows, expansion_weights, first, hidden, bounds[at])
        scored = [row]
        filled = 0
        for place in np.argsort(-upper):
            if filled == best.shape[1] and upper[place] + margin < scores[at, filled - 1]:
                break
            member = members[place]
            if member == row:
                continue
            for neighbor in range(-1, expansion_rows.shape[1]):
                needed = member if neighbor < 0 else expansion_rows[member, neighbor]
                if np.isnan(known[needed]):
                    scored.append(needed)
                    known[needed] = _scored(
                        offsets, columns, values, latent, weight, hubs, line, marks, direction, needed
                    )
            score = _expanded(known, expansion_rows, expansion_weights, first, hidden, member)
            filled = _insert(best[at], scores[at], filled, member, np.float32(score))
        for reached in scored:
            known[reached] = np.nan
        for reached in limited:
            limits[reached] = np.nan
        _clear(terms, line, marks)


@inner
def _limit(
    candidates: np.ndarray,
    candidate_scores: np.ndarray,
    row: int,
    other: int,
    share: float,
    limits: np.ndarray,
) -> list[int]:
    """Write the highest score before expansion of each candidate to `limits`, and return the candidates.

    A row is not among its own candidates, so the row `other` counts as most similar to itself.
    """
    least = np.float64(candidate_scores[other, 0]) if other >= 0 else 0.0
    limited = [row]
    limits[row] = 1.0
    for place in range(candidates.shape[1]):
        candidate = candidates[row, place]
        mine = np.float64(candidate_scores[row, place])
        theirs = 1.0 if candidate == other else least
        limits[candidate] = (mine + share * theirs) / (1.0 + share)
        limited.append(candidate)
    if other < 0:
        return limited
    lowest = np.float64(candidate_scores[row, 0])
    for place in range(candidates.shape[1]):
        candidate = candidates[other, place]
        difference = np.float64(candidate_scores[other, place])
        if np.isnan(limits[candidate]):
            limits[candidate] = (lowest + share * difference) / (1.0 + share)
            limited.append(candidate)
        else:
            limits[candidate] += share * (difference - least) / (1.0 + share)
    return limited


@inner
def _members(
    limited: list[int], reverse_offsets: np.ndarray, reverse_rows: np.ndarray, is_member: np.ndarray
) -> np.ndarray:
    """Return the articles whose expanded score contains a candidate's score; `is_member` must be false."""
    size = len(limited)
    for row in limited:
        size += reverse_offsets[row + 1] - reverse_offsets[row]
    members = np.empty(size, dtype=np.int64)
    count = 0
    for row in limited:
        if not is_member[row]:
            is_member[row], members[count] = True, row
            count += 1
        for at in range(reverse_offsets[row], reverse_offsets[row + 1]):
            expanded = reverse_rows[at]
            if not is_member[expanded]:
                is_member[expanded], members[count] = True, expanded
                count += 1
    for row in members[:count]:
        is_member[row] = False
    return members[:count]


@inner
def _upper_bounds(
    members: np.ndarray,
    limits: np.ndarray,
    rows: np.ndarray,
    weights: np.ndarray,
    first: np.ndarray,
    hidden: int,
    bound: float,
) -> np.ndarray:
    """Return the highest possible expanded scores; a score without a limit is at most the bound."""
    upper = np.empty(len(members), dtype=np.float64)
    for at in range(len(members)):
        member = members[at]
        score, total = limits[member], 1.0
        if np.isnan(score):
            score = bound
        for neighbor in range(rows.shape[1]):
            if first[rows[member, neighbor]] != hidden:
                share = np.float64(weights[member, neighbor])
                part = limits[rows[member, neighbor]]
                score += share * (bound if np.isnan(part) else part)
                total += share
        upper[at] = score / total
    return upper


@inner
def _expanded(
    known: np.ndarray, rows: np.ndarray, weights: np.ndarray, first: np.ndarray, hidden: int, member: int
) -> float:
    """Return the expanded score of an article; the cluster of copies `hidden` takes no part."""
    score, total = np.float64(known[member]), 1.0
    for neighbor in range(rows.shape[1]):
        if first[rows[member, neighbor]] != hidden:
            share = np.float64(weights[member, neighbor])
            score += share * known[rows[member, neighbor]]
            total += share
    return score / total


@kernel
def _expand(
    known: Float64s,
    rows: Int32Rows,
    weights: Float32Rows,
    first: Int32s,
    hidden: int,
    scores: OutFloat32s,
) -> None:
    """Write the expanded score of every article to `scores`."""
    for member in range(len(scores)):
        scores[member] = np.float32(_expanded(known, rows, weights, first, hidden, member))


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
def _write(terms: np.ndarray, moved: np.ndarray, line: np.ndarray, marks: np.ndarray) -> None:
    """Write the terms of a query to the dense line, and mark them."""
    for i in range(len(terms)):
        line[terms[i]] = moved[i]
        marks[terms[i] >> 3] |= np.uint8(1 << (terms[i] & 7))


@inner
def _clear(terms: np.ndarray, line: np.ndarray, marks: np.ndarray) -> None:
    """Undo `_write`."""
    for i in range(len(terms)):
        line[terms[i]] = 0.0
        marks[terms[i] >> 3] = 0


@inner
def _scored(
    offsets: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    latent: np.ndarray,
    weight: float,
    hubs: np.ndarray,
    line: np.ndarray,
    marks: np.ndarray,
    direction: np.ndarray,
    candidate: int,
) -> float:
    """Return the score of a candidate before expansion, from the query in the dense line."""
    total = 0.0
    for entry in range(offsets[candidate], offsets[candidate + 1]):
        term = columns[entry]
        if marks[term >> 3] >> (term & 7) & 1:
            total += np.float64(line[term]) * np.float64(values[entry])
    space = 0.0
    for component in range(latent.shape[1]):
        space += np.float64(direction[component]) * np.float64(latent[candidate, component])
    return (1.0 - weight) * total + weight * space - np.float64(hubs[candidate])


@kernel
def _score_row(
    offsets: Int64s,
    columns: Int32s,
    values: Float32s,
    latent: Float32Rows,
    weight: float,
    nearest: Int32s,
    feedback: Float32s,
    hubs: Float32s,
    term_offsets: Int64s,
    term_rows: Int32s,
    term_values: Float32s,
    row: int,
    scores: OutFloat64s,
) -> None:
    """Score a row against all, adding up in the same order as `_score_lists`; `scores` must be zero."""
    share = np.float64(feedback[row])
    terms, moved = _moved_terms(offsets, columns, values, row, nearest[row], share)
    direction = _moved_latent(latent, row, nearest[row], share)
    for i in range(len(terms)):
        value = np.float64(moved[i])
        for posting in range(term_offsets[terms[i]], term_offsets[terms[i] + 1]):
            scores[term_rows[posting]] += value * np.float64(term_values[posting])
    for other in range(len(scores)):
        space = 0.0
        for component in range(latent.shape[1]):
            space += np.float64(direction[component]) * np.float64(latent[other, component])
        scores[other] = (1.0 - weight) * scores[other] + weight * space - np.float64(hubs[other])
