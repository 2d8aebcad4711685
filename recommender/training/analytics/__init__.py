"""Exports of analytics tools: page views per article or URL and time."""
