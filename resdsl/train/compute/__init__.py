"""One step of training on a device: what is compiled, recomputed, captured, shared among processes."""
