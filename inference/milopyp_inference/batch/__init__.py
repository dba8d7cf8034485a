"""Many tomograms.

In: paths and options. Out: files and a record for each; what is done stays done.
"""
