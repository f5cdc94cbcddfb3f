"""IR to events through the REST API of Kubeflow Pipelines. The only importer of its client."""
