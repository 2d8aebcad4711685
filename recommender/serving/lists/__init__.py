"""Which articles a list contains, in what order, and why."""
