"""Container tasks in their images, through Docker or Podman: the same contract as a process."""
