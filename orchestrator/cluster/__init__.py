"""Kubernetes: objects applied, waited for, compared and deleted. The only importer of its client."""
