"""Parse requests, limit callers and build responses."""
