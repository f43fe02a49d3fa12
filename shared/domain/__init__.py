"""What a trial is asked to do and what it leaves: frozen records, no reading or writing."""
