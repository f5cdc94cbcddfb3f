"""An endpoint on Kubernetes: what KServe is told of it, whether its replicas are there, and what had proved itself."""
