"""Recipes compared on one corpus, and the best of many found."""
