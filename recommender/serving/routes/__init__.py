"""The routes: one module for each resource of `/v1`, and for operations."""
