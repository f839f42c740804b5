"""From a spec to a trained network. Needs `resdsl[train]`."""
