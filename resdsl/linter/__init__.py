"""The linter: what a spec says about its identity path, and what that costs."""
