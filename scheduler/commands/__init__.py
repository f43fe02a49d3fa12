"""What `make` calls: one file a topic."""
