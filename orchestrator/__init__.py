"""Declarative machine learning pipelines on Kubeflow Pipelines."""

__version__ = "0.1.0"
