"""Turn the files of each format into rows by our column names."""
