"""Predictions for whole files: split into records, asked in processes on every core, written in order or not at all."""
