"""Equality with networks of published libraries, which no one here wrote."""
