"""Export: a checkpoint in, one proven ONNX file out."""
