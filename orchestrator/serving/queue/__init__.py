"""Requests that nobody waits for: queued on disk, answered by processes of their own, written where the file says."""
