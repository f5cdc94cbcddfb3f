"""Declarative machine learning pipelines on Kubeflow Pipelines."""
