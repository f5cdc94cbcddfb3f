"""A Kubernetes for the tests, from processes: how it is built, started and taken down (`prepare.py` is its command)."""
