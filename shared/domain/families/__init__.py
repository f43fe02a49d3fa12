"""One configuration a family: its fields, and what it can do."""
