"""The parts of the view of one sweep: its verdict, leaderboard and charts, from records; pure."""
