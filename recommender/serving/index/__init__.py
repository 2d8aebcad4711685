"""An immutable snapshot of articles and vectors, including articles added since training."""
