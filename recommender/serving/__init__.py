"""The online half: answers from a published model over HTTP. Never imports `recommender.training`."""
