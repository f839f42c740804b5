"""The packaged specs, as package data."""
