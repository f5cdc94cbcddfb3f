"""What turns IR into a stream of events."""
