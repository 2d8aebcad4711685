"""Compute the exact nearest neighbours of every article, and build the lists."""
