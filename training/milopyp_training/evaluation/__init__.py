"""How good a model is, and what it may promise.

In: a network and labelled volumes. Out: figures, thresholds, labels to add or to check, pictures.
"""
