"""Training: read a corpus and compute a model."""
