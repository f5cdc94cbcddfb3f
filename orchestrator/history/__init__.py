"""What the record of runs answers: why something ran, what changed, what was made of what, when, and what may go."""
