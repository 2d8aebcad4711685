"""Replay a log of views to compare definitions of trending."""
