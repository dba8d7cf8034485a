"""Many processes on one list.

In: a command line. Out: the same command line, started several times here or on a cluster, and followed.
"""
