"""The state of one worker process, and how it stays current."""
