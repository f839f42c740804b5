"""A run from its first step to its last: what is logged, saved, resumed, and what ends it."""
