"""Scores in double precision: of candidate lists, of the best lists, and of a row against all articles.

After document expansion, the score of an article is the weighted mean of its own score and those of a few
neighbours. `best_lists` scores only a row's candidates; any other score is at most a bound. So an article
that is no candidate and has none among its neighbours is at most at this bound, too. The others are visited
by their own upper bounds, the highest first, until k exact scores are higher than the next bound (the
threshold algorithm: Fagin et al. 2003).
"""

import numpy as np

from recommender.model import Vectors
from recommender.neighbors import NO_ROW, Corrections
from recommender.training.kernels import kernel


def list_scores(
    vectors: Vectors, weight: float, corrections: Corrections, rows: np.ndarray, candidates: np.ndarray
) -> np.ndarray:
    """Return the score of each candidate before expansion, (m, width) float32; minus infinity for NO_ROW.

    `rows` is (m,), `candidates` (m, width).
    """
    scores = np.empty(candidates.shape, dtype=np.float32)
    n_terms = len(vectors.term_offsets) - 1
    _score_lists(
        vectors.offsets, vectors.columns, vectors.values, vectors.latent, weight, corrections.nearest,
        corrections.feedback, corrections.hubs, rows, candidates, np.zeros(n_terms, dtype=np.float32),
        np.zeros(n_terms // 8 + 1, dtype=np.uint8), scores,
    )  # fmt: skip
    return scores


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
    candidates: np.ndarray,
    bounds: np.ndarray,
    k: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k best articles of each row and their scores, (m, k) int32 and float32, best first.

    `candidates` is (m, width), and any other article scores at most `bounds`, (m,) float64, before expansion.
    `first` is that of the near-duplicates: a row and its copies expand no article in its list. Equal scores
    are in row order. Scores that are not above the bound may not be the best; missing ones are
    minus infinity.
    """
    n, n_terms = len(vectors.offsets) - 1, len(vectors.term_offsets) - 1
    best = np.full((len(rows), k), NO_ROW, dtype=np.int32)
    scores = np.full((len(rows), k), -np.inf, dtype=np.float32)
    _best_lists(
        vectors.offsets, vectors.columns, vectors.values, vectors.latent, weight, corrections.nearest,
        corrections.feedback, corrections.hubs, corrections.expansion_rows, corrections.expansion_weights,
        reverse.offsets, reverse.rows, first, rows, candidates, bounds, np.zeros(n_terms, dtype=np.float32),
        np.zeros(n_terms // 8 + 1, dtype=np.uint8), np.full(n, np.nan), np.zeros(n, dtype=np.bool_),
        best, scores,
    )  # fmt: skip
    return best, scores


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


@kernel
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


@kernel
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
def _score_lists(
    offsets: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    latent: np.ndarray,
    weight: float,
    nearest: np.ndarray,
    feedback: np.ndarray,
    hubs: np.ndarray,
    rows: np.ndarray,
    candidates: np.ndarray,
    line: np.ndarray,
    marks: np.ndarray,
    scores: np.ndarray,
) -> None:
    """Score candidates against each row's moved vector, written densely to `line`.

    `line` and `marks` must be zero. `marks` has one bit per term that is set if the row has the term: the
    bits fit into a processor's cache, so most lookups in `line` are avoided.
    """
    for at in range(len(rows)):
        row, other = rows[at], nearest[rows[at]]
        share = np.float64(feedback[row])
        terms, moved = _moved_terms(offsets, columns, values, row, other, share)
        direction = _moved_latent(latent, row, other, share)
        _write(terms, moved, line, marks)
        for place in range(candidates.shape[1]):
            candidate = candidates[at, place]
            if candidate < 0:
                scores[at, place] = -np.inf
            else:
                scores[at, place] = np.float32(
                    _scored(offsets, columns, values, latent, weight, hubs, line, marks, direction, candidate)
                )
        _clear(terms, line, marks)


@kernel
def _best_lists(
    offsets: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    latent: np.ndarray,
    weight: float,
    nearest: np.ndarray,
    feedback: np.ndarray,
    hubs: np.ndarray,
    expansion_rows: np.ndarray,
    expansion_weights: np.ndarray,
    reverse_offsets: np.ndarray,
    reverse_rows: np.ndarray,
    first: np.ndarray,
    rows: np.ndarray,
    candidates: np.ndarray,
    bounds: np.ndarray,
    line: np.ndarray,
    marks: np.ndarray,
    known: np.ndarray,
    is_member: np.ndarray,
    best: np.ndarray,
    scores: np.ndarray,
) -> None:
    """Fill `best` and `scores`; `line`, `marks` and `is_member` must be zero, `known` not a number."""
    for at in range(len(rows)):
        row, other = rows[at], nearest[rows[at]]
        share = np.float64(feedback[row])
        terms, moved = _moved_terms(offsets, columns, values, row, other, share)
        direction = _moved_latent(latent, row, other, share)
        _write(terms, moved, line, marks)
        scored = [row]
        for place in range(candidates.shape[1]):
            if candidates[at, place] >= 0 and np.isnan(known[candidates[at, place]]):
                scored.append(candidates[at, place])
                known[scored[-1]] = _scored(
                    offsets, columns, values, latent, weight, hubs, line, marks, direction, scored[-1]
                )
        members = _members(scored, reverse_offsets, reverse_rows, is_member)
        hidden, bound = first[row], bounds[at]
        upper = _upper_bounds(members, known, expansion_rows, expansion_weights, first, hidden, bound)
        filled = 0
        for place in np.argsort(-upper):
            if filled == best.shape[1] and np.float32(upper[place]) < scores[at, filled - 1]:
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
        _clear(terms, line, marks)


@kernel
def _members(
    scored: list[int], reverse_offsets: np.ndarray, reverse_rows: np.ndarray, is_member: np.ndarray
) -> np.ndarray:
    """Return the articles whose expanded score contains a scored article; `is_member` must be false."""
    size = len(scored)
    for row in scored:
        size += reverse_offsets[row + 1] - reverse_offsets[row]
    members = np.empty(size, dtype=np.int64)
    count = 0
    for row in scored:
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


@kernel
def _upper_bounds(
    members: np.ndarray,
    known: np.ndarray,
    rows: np.ndarray,
    weights: np.ndarray,
    first: np.ndarray,
    hidden: int,
    bound: float,
) -> np.ndarray:
    """Return the highest possible expanded scores, if no score that is not known exceeds the bound."""
    upper = np.empty(len(members), dtype=np.float64)
    for at in range(len(members)):
        member = members[at]
        score, total = known[member], 1.0
        if np.isnan(score):
            score = bound
        for neighbor in range(rows.shape[1]):
            if first[rows[member, neighbor]] != hidden:
                share = np.float64(weights[member, neighbor])
                part = known[rows[member, neighbor]]
                score += share * (bound if np.isnan(part) else part)
                total += share
        upper[at] = score / total
    return upper


@kernel
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
    known: np.ndarray,
    rows: np.ndarray,
    weights: np.ndarray,
    first: np.ndarray,
    hidden: int,
    scores: np.ndarray,
) -> None:
    """Write the expanded score of every article to `scores`."""
    for member in range(len(scores)):
        scores[member] = np.float32(_expanded(known, rows, weights, first, hidden, member))


@kernel
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


@kernel
def _write(terms: np.ndarray, moved: np.ndarray, line: np.ndarray, marks: np.ndarray) -> None:
    """Write the terms of a query to the dense line, and mark them."""
    for i in range(len(terms)):
        line[terms[i]] = moved[i]
        marks[terms[i] >> 3] |= np.uint8(1 << (terms[i] & 7))


@kernel
def _clear(terms: np.ndarray, line: np.ndarray, marks: np.ndarray) -> None:
    """Undo `_write`."""
    for i in range(len(terms)):
        line[terms[i]] = 0.0
        marks[terms[i] >> 3] = 0


@kernel
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
    offsets: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    latent: np.ndarray,
    weight: float,
    nearest: np.ndarray,
    feedback: np.ndarray,
    hubs: np.ndarray,
    term_offsets: np.ndarray,
    term_rows: np.ndarray,
    term_values: np.ndarray,
    row: int,
    scores: np.ndarray,
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
