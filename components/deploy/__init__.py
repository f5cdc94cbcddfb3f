"""Deploy an approved model version to an endpoint, prove it by a real request, or leave everything as it was."""
