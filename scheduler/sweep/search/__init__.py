"""How a search chooses the next trial: its space, and the samplers that propose from it."""
