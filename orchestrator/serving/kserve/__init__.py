"""An endpoint file and resolved model versions as KServe manifests. Pure."""
