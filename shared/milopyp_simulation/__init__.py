"""Realistic tomograms with exact truth: densities and settings in, a volume and the places of its particles out.

Data flow: `densities` or `random_shapes` give what particles look like; `specimen`, `particles`, `membranes`,
`filaments` and `clutter` put them into ice; `microscope` records a tilt series; `reconstruction` makes the volume;
`tomogram.simulate` does all of it. Needs numpy, scipy and numba only.
"""
