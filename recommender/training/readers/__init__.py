"""Read articles from files, and report every refused row."""
