"""Read a table from a file, a URI or a database and split it, so that the same row always lands in the same split."""
