"""Trending ranks of the articles in a snapshot, recomputed every minute."""
