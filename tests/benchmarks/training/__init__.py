"""Whole trainings beside their peers: time, memory, quality, and growth with the size of the corpus."""
