"""Publish a model if it is good enough: rules over its metrics, a decision on paper, and only then a version."""
