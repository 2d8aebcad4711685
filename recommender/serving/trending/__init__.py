"""Trending ranks, recomputed every minute."""
