"""What can be photographed: for every name at least three independent programs, one held out."""
