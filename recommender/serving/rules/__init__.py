"""Editorial rules: their schema, which are active, and what they do to a list."""
