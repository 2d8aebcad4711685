"""Responses cached in this process and in shared caches."""
