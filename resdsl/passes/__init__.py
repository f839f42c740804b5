"""Passes: from a network and its weights to one that computes the same with less."""
