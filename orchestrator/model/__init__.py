"""A model as a folder: manifest, signature, fitted transform and estimator, with no pandas needed to serve it."""
