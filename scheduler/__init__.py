"""Turns a sweep file into trials, publishes them, and watches them end."""
