"""Predictions for whole files, as a task of a pipeline."""
