"""What is known of a network before it is run: closed forms, in numpy and by hand. What is measured beside them is in resdsl.analysis."""
