"""Read articles from files, feeds and sites, and report every refused row."""
