"""Trains, evaluates and saves one trial per task."""
