"""The commands, grouped by subject; `recommender.cli` assembles them."""
