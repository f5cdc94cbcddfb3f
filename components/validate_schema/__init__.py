"""Check a table against a schema file: statistics, typed anomalies and a report; an error stops the pipeline."""
