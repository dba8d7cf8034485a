"""Checkpoint files as the published program writes them, with weights by the closed formula."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from formula_weights import fill_by_formula
from milopyp_training.networks.section_unet import SectionUNet

OPTIONS = "--gauss 0.8 --compress --order xzy --bbox 24"

# Head and a few of the hundred lines that the published program leaves beside a checkpoint.
OPT_TXT = """==> torch version: 2.1.0
==> cudnn version: 8700
==> Cmd:
['main.py', 'semi', '--arch', 'unet_4', '--bbox', '24']
==> Opt:
  K: 200
  arch: unet_4
  bbox: 24
  compress: True
  exp_dir: exp/semi
  gauss: 0.8
  heads: {'hm': 1, 'proj': 32}
  last_k: 3
  load_model: None
  order: zxy
"""


def state_dict(levels: int = 4, last_k: int = 3) -> dict[str, torch.Tensor]:
    """Entries of ``unet_4`` or ``unet_5`` with the formula's weights."""
    network = SectionUNet(levels, last_k)
    fill_by_formula(network)
    return network.state_dict()


def save_published(path: Path, weights: dict[str, Any], prefix: str = "", **more: Any) -> Path:
    """Write a published checkpoint; `more` goes beside ``epoch`` and ``state_dict``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    named = {prefix + name: value for name, value in weights.items()}
    torch.save({"epoch": 5, "state_dict": named} | more, path)
    return path
