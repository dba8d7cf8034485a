"""What does the contrastive term cost? Exact block-wise and sampled forms beside a plain one that holds all pairs.

Every variant runs in a process of its own, so that peak memory is its own; variants take turns. The plain form is
the published formula written down directly in PyTorch; at the full patch size it needs more than 16 GiB and is only
run with --plain-full.

    python benchmarks/bench_contrastive.py
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np
import torch
from machine import describe_machine
from torch import Tensor

from milopyp_training.losses.contrastive import Sampling, debiased_contrastive
from milopyp_training.losses.focal import clamped
from milopyp_training.losses.published import PublishedLoss, published_criterion
from milopyp_training.networks.section_unet import SectionUNet

TAU, TEMPERATURE, THRESH = 0.01, 0.07, 0.85
PATCHES = {"half": (3, 64, 64), "full": (6, 64, 64)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", help="measure one variant in this process: WHAT:FORM:SIZE")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plain-full", action="store_true", help="also the plain form at the full patch size (17 GB)")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(*options.one.split(":"))))
        return
    variants = [
        (what, form, size) for what in ("loss", "step") for size in PATCHES for form in ("plain", "exact", "sampled")
    ]
    if not options.plain_full:
        variants = [variant for variant in variants if variant[1:] != ("plain", "full")]
    found: dict[tuple[str, str, str], list[dict[str, float]]] = {variant: [] for variant in variants}
    for _ in range(options.rounds):
        for variant in variants:
            command = [sys.executable, __file__, "--one", ":".join(variant)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{variant}: ended with {done.returncode}: {done.stderr[-300:]}", file=sys.stderr)
                continue
            found[variant].append(json.loads(done.stdout))
    print(
        f"{describe_machine()}; {torch.get_num_threads()} threads, medians of {options.rounds} interleaved processes\n"
    )
    print("| what | patch pair | form | seconds | extra memory, MiB | loss |\n|---|---|---|---|---|---|")
    for (what, form, size), results in found.items():
        if results:
            seconds, memory = (statistics.median(result[key] for result in results) for key in ("seconds", "mib"))
            value, patch = results[0]["value"], " x ".join(map(str, PATCHES[size]))
            print(f"| {what} | 2 x {patch} | {form} | {seconds:.2f} | {memory:.0f} | {value:.5f} |")


def measure(what: str, form: str, size: str) -> dict[str, float]:
    """Seconds (best of two after one warm-up; plain: of one), growth of peak memory and first loss of one variant."""
    torch.manual_seed(0)
    depth, height, width = PATCHES[size]
    run = step_of(form, depth, height, width) if what == "step" else loss_of(form, 2 * depth * height * width // 4)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times, values = [], []
    for _ in range(2 if form == "plain" else 3):
        start = time.perf_counter()
        values.append(run())
        times.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": min(times[1:]), "mib": (peak - before) / 1024, "value": values[0]}


def loss_of(form: str, voxels: int) -> Any:
    """Value and gradients of the contrastive term alone, on clustered embeddings."""
    centres = torch.randn(6, 32)
    kinds = torch.randint(0, 6, (voxels,))
    features = [torch.nn.functional.normalize(centres[kinds] + 0.8 * torch.randn(voxels, 32), dim=1) for _ in range(2)]
    labels = torch.where(torch.rand(voxels) < 0.002, 1.0, -1.0)
    chances = [torch.rand(voxels) ** 8 for _ in range(2)]
    sample = Sampling(torch.default_generator) if form == "sampled" else None

    def run() -> float:
        inputs = [tensor.clone().requires_grad_() for tensor in (*features, *chances)]
        if form == "plain":
            supervised, unsupervised = plain_contrastive(inputs[0], inputs[1], labels, inputs[2], inputs[3])
        else:
            supervised, unsupervised = debiased_contrastive(
                inputs[0], inputs[1], labels, inputs[2], inputs[3],
                thresh=THRESH, temperature=TEMPERATURE, tau=TAU, sample=sample,
            )  # fmt: skip
        loss = supervised + 0.1 * unsupervised
        loss.backward()
        return float(loss.detach())

    return run


def step_of(form: str, depth: int, height: int, width: int) -> Any:
    """One whole training step of unet_4: two forward passes, loss, backward pass, Adam."""
    network = SectionUNet(4)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-4)
    volume = torch.rand(2, depth, height, width)
    target = torch.full((2, depth, height // 2, width // 2), -1.0)
    target[:, depth // 2, height // 4, width // 4] = 1.0
    target[:, depth // 2, height // 4 + 1, width // 4] = 0.6
    options = PublishedLoss()
    sample = Sampling(torch.default_generator) if form == "sampled" else None

    def run() -> float:
        output, mirrored = network(volume), network(volume.flip(-1))
        if form == "plain":
            heat = published_criterion(output, None, target, PublishedLoss(contrastive=False), flip_y=False)
            p, p_back = clamped(output[0].sigmoid()), clamped(mirrored[0].flip(-1).sigmoid())
            rows = [e.movedim(1, -1).flatten(0, -2) for e in (output[1], mirrored[1].flip(-1))]
            supervised, unsupervised = plain_contrastive(*rows, target.flatten(), p.flatten(), p_back.flatten())
            total = heat.total + options.cr_weight * (supervised + 0.1 * unsupervised) + ((p - p_back) ** 2).mean()
        else:
            total = published_criterion(output, mirrored, target, options, flip_y=False, sample=sample).total
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        return float(total.detach())

    return run


def plain_contrastive(
    f: Tensor, f_flipped: Tensor, labels: Tensor, p: Tensor, p_flipped: Tensor
) -> tuple[Tensor, Tensor]:
    """The debiased contrastive loss over an explicit matrix of all voxel pairs."""
    features, label, chance = torch.cat([f, f_flipped]), torch.cat([labels, labels]), torch.cat([p, p_flipped])
    n = len(label)
    similarity = features @ features.T / TEMPERATURE
    e = torch.exp(similarity - similarity.max(dim=1, keepdim=True).values.detach())
    e = e.masked_fill(torch.eye(n, dtype=torch.bool), 1.0)
    positive, other, free = label > THRESH, label < THRESH, label < 0
    floor = float(np.exp(-1 / TEMPERATURE))

    def debiased(a: Tensor, b: Tensor, weight: float) -> Tensor:
        return -torch.log(a / (a + ((b - weight * a) / (1 - weight)).clamp(min=floor)))

    rows = e[positive]
    a = rows[:, positive].sum(1) / (positive.sum() - 1)
    supervised = debiased(a, rows[:, other].sum(1) / other.sum(), TAU).mean()
    partner = torch.arange(n).roll(n // 2)
    a = e[torch.arange(n), partner]
    b = (e.sum(1) - a) / (n - positive.sum())
    plus, minus = chance * debiased(a, b, TAU), (1 - chance) * debiased(a, b, 1 - TAU)
    sets = ((chance > 0.99, plus), (chance < 0.01, minus), ((chance > 0.01) & (chance < 0.99), plus + minus))
    unsupervised = sum((term[free & kind].mean() for kind, term in sets if (free & kind).any()), torch.zeros(()))
    return supervised, unsupervised


if __name__ == "__main__":
    main()
