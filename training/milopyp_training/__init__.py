"""Training, with PyTorch: labels and tomograms in, checkpoints out."""

import os

# Threads that wait busily for each other slow training down five times as soon as anything else runs on the machine;
# OpenMP reads this once, when PyTorch is loaded, so it is set before any module here imports it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
