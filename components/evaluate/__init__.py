"""The evaluate component: a model, and the champion, measured on the same data."""
