"""The warm start: a fork server per environment, with a component's imports loaded, forks a process per task."""
