"""What a worker measures and logs: metrics of all workers together, an access log, JSON logs."""
