"""Training, with PyTorch: labels and tomograms in, checkpoints out."""
