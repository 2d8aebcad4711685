"""Fit the latent space and the topics, and name the topics."""
