"""Ways to train: the numbers (presets), the patches, and which loss is taken of them.

In: labelled volumes and a preset. Out: batches, loss terms, an optimiser.
"""
