"""Our numbers, each beside its floor and a peer, measured in one run. Nothing here is a test."""
