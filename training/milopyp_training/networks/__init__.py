"""Networks by name.

In: grey levels ``(b, z, y, x)``, 0..1. Out: heat-map logits, and what a method asks for beside them.
"""
