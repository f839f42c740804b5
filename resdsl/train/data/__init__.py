"""Data to train on: readers of the formats that people have."""
