"""The comparison of two trainings, array by array."""

from itertools import pairwise

from recommender.model_arrays import arrays_of
from recommender.training.train import Trained


def check_equal(one: Trained, other: Trained) -> None:
    """Compare all arrays, the manifests and the stored candidates."""
    ours, theirs = dict(arrays_of(one.model)), dict(arrays_of(other.model))
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert array.dtype == theirs[name].dtype, name
        assert array.tobytes() == theirs[name].tobytes(), name
    assert one.model.manifest == other.model.manifest
    assert _candidates_of(one) == _candidates_of(other)


def _candidates_of(trained: Trained) -> list[tuple[float, list[tuple[int, float]]]]:
    """Return the floor and the candidates of each article."""
    stored = trained.candidates
    pairs = list(zip(stored.rows.tolist(), stored.similarity.tolist(), strict=True))
    bounds = pairwise(stored.offsets.tolist())
    return [
        (floor, sorted(pairs[start:end]))
        for floor, (start, end) in zip(stored.floors.tolist(), bounds, strict=True)
    ]
