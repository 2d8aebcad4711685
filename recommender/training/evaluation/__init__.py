"""Measure how good the lists of a model are, and compare them with other systems."""
