"""Tree to network: names, values, instantiation, placement."""
