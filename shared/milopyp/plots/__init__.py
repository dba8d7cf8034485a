"""Pictures that commands draw.

In: arrays. Out: PNG files.
"""
