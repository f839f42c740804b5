"""What can be measured of a network before it is trained. Closed forms are in resdsl.theory."""
