"""What came of a run, for people and for programs. `facts.py` reads it, `write.py` writes it."""
