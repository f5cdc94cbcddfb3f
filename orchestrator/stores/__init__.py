"""All that is kept: artifacts by content, and the record of runs."""
