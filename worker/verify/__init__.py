"""`make verify`: does what is stored follow from the saved models and the data?"""
