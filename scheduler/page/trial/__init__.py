"""The parts of the view of one trial: settings, curve, lists by popularity, for whom; from records, pure."""
