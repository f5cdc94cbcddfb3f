"""Which mode fits an endpoint: what is asked of it against what each mode can do, before anything is deployed."""
