"""What a network can run on: one file and one row of the table (`registry.PROVIDERS`) each.

In: a model file and a machine. Out: an engine (`base.Engine`), which makes heat maps there within the memory.
"""
