"""The HTTP service that responds from a published model. It never imports `recommender.training`."""
