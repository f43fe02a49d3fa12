"""Exact lists: scorers, and the top k of every user."""
