"""Readers and writers of coordinate files, one module per format."""
