"""What can be computed about a network without running it."""
