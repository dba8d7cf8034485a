"""onnxruntime's sessions: how they are set up and how they run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.graph_names import INPUTS, OUTPUT
from milopyp_shared.tiles import Shape

from . import providers
from .runtime import load_onnxruntime


def plain_options(runtime: Any) -> Any:
    """Session options that every session has: quiet, and blind to files that a model names."""
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # its errors come back as exceptions, and those as one line
    # where weights outside the file would be looked for: nowhere
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    return options


def new_session(
    content: bytes,
    provider: str,
    threads: int | None,
    device: int,
    cache: Path | None = None,
    tile: Shape | None = None,
) -> Any:
    """A session of the model `content` on `provider`; `device`, `cache` and `tile` as for `provider_options`."""
    runtime = load_onnxruntime()
    options = plain_options(runtime)
    options.intra_op_num_threads = threads or providers.allowed_threads()
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # a plan made after the first run takes its memory a second time
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    # Waiting threads must not burn what reading and preparing the next tomogram could use.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    chosen = providers.provider_options(provider, device, cache, tile)
    return runtime.InferenceSession(content, options, providers=chosen, enable_fallback=0)


def run_on_cpu(session: Any, block: NDArray[np.uint8], levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Heat map of a tile."""
    heat: NDArray[np.float32] = session.run([OUTPUT], dict(zip(INPUTS, (block[None], levels), strict=True)))[0][0]
    return heat


def run_on_gpu(session: Any, block: NDArray[np.uint8], levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Heat map of a tile: bytes go up, one map comes back, nothing else moves."""
    binding = session.io_binding()
    for name, value in zip(INPUTS, (block[None], levels), strict=True):
        binding.bind_cpu_input(name, value)
    binding.bind_output(OUTPUT, "cpu")
    session.run_with_iobinding(binding)
    heat: NDArray[np.float32] = binding.copy_outputs_to_cpu()[0][0]
    return heat
