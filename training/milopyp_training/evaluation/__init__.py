"""How good a model is, and what it may promise.

In: a network and labelled volumes. Out: figures, thresholds, places to look at, pictures.
"""
