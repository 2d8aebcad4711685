"""Training: a corpus in, a model out."""
