"""Commands of the command line, by subject; `recommender.cli` puts them together."""
