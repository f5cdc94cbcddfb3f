"""Environments of Python programs: made once per set of requirements by uv, shared by all tasks, runs and projects."""
