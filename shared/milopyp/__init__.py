"""The face: the command group `milopyp` and its commands."""
