"""Pre-training: a network that knows particles of random shape before it is shown the first label.

In: a seed. Out: simulated tomograms, and the weights that every installation has. No experimental data goes in.
"""
