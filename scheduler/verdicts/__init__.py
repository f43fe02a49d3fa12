"""Which trial of a sweep is better than which, and for whom: winner, tie or worse, with an interval."""
