"""The routes: a module for each resource of `/v1`, and for health and metrics."""
