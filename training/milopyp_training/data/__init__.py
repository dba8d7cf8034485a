"""Labelled tomograms and what a network is to say of them.

In: image and coordinate lists. Out: volumes with labels, and target heat maps.
"""
