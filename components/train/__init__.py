"""The train component: a table in, a model folder out."""
