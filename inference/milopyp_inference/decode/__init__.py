"""From heat map to picks.

In: candidates or a heat map. Out: picks. Knows neither engine nor files.
"""
