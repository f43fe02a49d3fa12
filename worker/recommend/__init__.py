"""`make recommend HISTORY=…`: the list of somebody who is in no training data."""
