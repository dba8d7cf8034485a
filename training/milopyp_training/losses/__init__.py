"""What training minimises: focal losses, the published criterion and its contrastive term.

In: what a network says and the target, as tensors. Out: scalars with gradients. Knows of no method, file or option.
"""
