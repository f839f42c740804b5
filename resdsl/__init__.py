"""resdsl."""
