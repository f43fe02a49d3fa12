"""One kind of model each: how it is fitted, scores, and is saved."""
