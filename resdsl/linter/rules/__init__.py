"""One rule a file. table.py names them; the docstring of each is its page in docs/rules/."""
