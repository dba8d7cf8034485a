"""What inputs and outputs of ONNX files are called: written by the export, asked for when picking.

``sections``
    uint8 ``(1, z, y, x)``, grey levels.
``levels``
    float32 ``(2,)``, the grey levels that mean 0 and 1 (`milopyp_shared.preprocessing.PreprocessedVolume.input_range`).
``heatmap``
    float32 ``(1, z, ceil(y/2), ceil(x/2))`` in 0..1.
``features``
    of a network without a head: float32 ``(1, d, z, ceil(y/2), ceil(x/2))``, not negative. `SECTION_FEATURES` are the
    same inside the graph, ``(z, d, ceil(y/2), ceil(x/2))``: a head that is put there is a 2D convolution.
"""

INPUTS = ("sections", "levels")
OUTPUT = "heatmap"
FEATURES, SECTION_FEATURES = "features", "features_of_sections"
