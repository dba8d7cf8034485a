"""A head learned from labels on the features of the shipped network, without PyTorch: a model file in seconds.

In: labelled volumes. Out: the ONNX file that ``milopyp-export`` would write.
"""
