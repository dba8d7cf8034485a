"""A model file on a machine.

In: an ONNX file and a volume of grey levels. Out: its heat map, piece by piece, within the memory. Knows of no batch.
"""
