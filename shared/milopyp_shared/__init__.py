"""What training, export and inference agree on: files, frames, grey levels, picks, recipes."""
