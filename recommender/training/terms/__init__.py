"""Count the terms of a corpus and turn them into TF-IDF vectors."""
