"""Inference without PyTorch: an ONNX file and tomograms in, picks out."""
