"""Data sets: where they come from, how they are read, prepared and split."""
