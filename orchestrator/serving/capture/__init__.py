"""Requests and answers kept as JSON Lines, for monitoring: sampled, bounded, and never in the way of an answer."""
