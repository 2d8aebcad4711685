"""Lists of articles: which articles a list contains, in which order, and why."""
