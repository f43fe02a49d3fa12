"""The page: what is stored, as a person looks at it, live (`application.py`) or in one file (`report.py`)."""
