"""The soak test: a real server under mixed load, while models, rules, articles and workers come and go."""
