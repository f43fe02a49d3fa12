"""From a newer version of the ratings to lists that may be served: what is new, and what is checked."""
