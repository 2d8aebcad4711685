"""One immutable snapshot of articles and vectors, including what was added since training."""
