"""Decide whether a model may be published, and publish it."""
