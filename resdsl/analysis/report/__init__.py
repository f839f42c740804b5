"""What was measured, for people and programs: tables, JSON, pictures, a page, one network or several side by side."""
