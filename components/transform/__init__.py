"""The transform component: declared steps, fitted on the training split only."""
