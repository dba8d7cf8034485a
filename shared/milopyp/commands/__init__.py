"""The commands of ``milopyp``, a module each.

In: a command line. Out: files and lines of text; the work is done by the other packages.
"""
