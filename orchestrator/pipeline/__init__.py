"""The front end: from a pipeline file to the KFP IR."""
