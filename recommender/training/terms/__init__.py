"""Count the terms of a corpus and convert them to TF-IDF vectors."""
