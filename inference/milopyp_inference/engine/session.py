"""onnxruntime's sessions: how they are set up, how they run, and what they run on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.errors import CheckError
from milopyp_shared.graph_names import INPUTS, OUTPUT
from milopyp_shared.system import allowed_threads

from .machine import Machine
from .runtime import load_onnxruntime

#: Providers as onnxruntime calls them, best first, with their options.
ProviderOptions = Sequence[tuple[str, dict[str, str]]]


def plain_options(runtime: Any) -> Any:
    """Session options that every session has: quiet, and blind to files that a model names."""
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # its errors come back as exceptions, and those as one line
    # where weights outside the file would be looked for: nowhere
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    return options


def new_session(graph: bytes, machine: Machine, providers: ProviderOptions) -> Any:
    """A session on the first of `providers`; the others stand in for operators that it does not have.

    Raises
    ------
    CheckError
        onnxruntime fell back to another one.
    """
    runtime = load_onnxruntime()
    options = plain_options(runtime)
    options.intra_op_num_threads = machine.threads or allowed_threads()
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # a plan made after the first run takes its memory a second time
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    # Waiting threads must not burn what reading and preparing the next tomogram could use.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = runtime.InferenceSession(graph, options, providers=list(providers), enable_fallback=0)
    wanted, got = providers[0][0], session.get_providers()[0]
    if got != wanted:
        raise CheckError(
            f"onnxruntime fell back to {got}",
            where=f"--provider {machine.provider}",
            expected=wanted,
            remedy="Run milopyp doctor; --provider cpu works everywhere.",
        )
    return session


def run_on_cpu(
    session: Any, block: NDArray[np.uint8], input_range: NDArray[np.float32], output: str = OUTPUT
) -> NDArray[np.float32]:
    """Heat map of a tile, or another `output`."""
    inputs = dict(zip(INPUTS, (block[None], input_range), strict=True))
    heat: NDArray[np.float32] = session.run([output], inputs)[0][0]
    return heat


def operators_by_provider(session: Any) -> dict[str, int]:
    """How many of the graph's operators each provider runs; empty when this onnxruntime does not say."""
    counts: dict[str, int] = {}
    for part in getattr(session, "get_provider_graph_assignment_info", list)():
        counts[part.ep_name] = counts.get(part.ep_name, 0) + len(part.get_nodes())
    return counts
