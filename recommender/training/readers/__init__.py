"""Read files, feeds and sites into articles, and report every row that was refused."""
