"""Pictures that single commands draw; what all pictures share is `milopyp_shared.plotting`.

In: arrays, tomograms and evaluations. Out: PNG files.
"""
