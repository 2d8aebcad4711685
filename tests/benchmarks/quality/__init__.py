"""The quality of lists by every kind of label that we have, compared with TF-IDF, in one table."""
