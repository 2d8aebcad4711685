"""Checks of a deployment: whether what serving needs is there, and what to do if it is not."""
