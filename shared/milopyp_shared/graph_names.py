"""What the inputs and the output of an ONNX file are called: written by the export, asked for when picking.

``sections``
    uint8 ``(1, z, y, x)``, grey levels.
``levels``
    float32 ``(2,)``, the grey levels that mean 0 and 1 (`milopyp_shared.preprocessing.PreprocessedVolume.input_range`).
``heatmap``
    float32 ``(1, z, ceil(y/2), ceil(x/2))`` in 0..1.
"""

INPUTS = ("sections", "levels")
OUTPUT = "heatmap"
