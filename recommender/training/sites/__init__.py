"""Fetch posts and feed entries from web sites, politely."""
