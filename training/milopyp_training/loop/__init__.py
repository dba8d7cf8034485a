"""The training itself, whatever the method.

In: a method. Out: weights, epoch after epoch, as checkpoints and logs that a run can go on from.
"""
