"""The readers: corpus files of each format as rows, and a row of any format as an article."""
