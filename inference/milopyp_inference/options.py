"""The options of ``milopyp-infer``, made once from its command line, and what they say of folder, machine and model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from milopyp_shared import axes
from milopyp_shared.errors import ContradictionError, UsageError
from milopyp_shared.scale import describe_scale
from milopyp_shared.urls import refuse_writing

if TYPE_CHECKING:  # the help must not pay for what these modules load
    from milopyp_shared.preprocessing import Contrast
    from milopyp_shared.recipe import Recipe

    from .engine.machine import Machine

DEFAULT_OUT = Path("picks")
EXPERIMENTS = Path("exp/semi")


@dataclass(frozen=True)
class InferOptions:
    """A command line of ``milopyp-infer``: each option under its name, None or False where nothing is said."""

    inputs: tuple[str, ...]
    model: Path
    # outputs
    out: Path | None = None
    exp_id: str | None = None
    out_id: str | None = None
    with_score: bool = False
    coords: Literal["model2point", "voxel"] | None = None
    formats: str | None = None
    turn: str = axes.NO_TURN
    heat_map: Literal["mrc", "zarr"] | None = None
    names: Literal["file", "series"] | None = None
    tomograms: Path | None = None
    overwrite: bool = False
    summary: Path | None = None
    # tomograms
    test_img_txt: str | None = None
    name_from: Literal["file", "parent"] = "file"
    order: str = axes.AUTO
    voxel_size: float | None = None
    level: int | None = None
    rescale: bool = False
    mask: Path | None = None
    mask_distance: str | None = None
    normals: bool = False
    contrast: Contrast | None = None
    # a copick project
    copick: Path | None = None
    tomo_type: str | None = None
    voxel_spacing: float | None = None
    object: Mapping[str, str] | None = None
    user: str | None = None
    session: str | None = None
    # picks
    out_thresh: str | None = None
    limit: Mapping[str, int] | None = None
    margin: Mapping[str, float] | None = None
    exclusive: bool = True
    flips: Literal["1", "2", "4"] | None = None
    # as in training
    arch: str | None = None
    gauss: float | None = None
    compress: bool | None = None
    last_k: int | None = None
    down_ratio: int | None = None
    dataset: str | None = None
    # as the published program
    published: bool = False
    nms: int | None = None
    cutoff_z: int | None = None
    fiber: bool | None = None
    distance_cutoff: float | None = None
    r2_cutoff: float | None = None
    curvature_cutoff: float | None = None
    distance_scale: float | None = None
    # machine
    provider: str = "auto"
    precision: str | None = None
    gpus: str | None = None
    threads: int | None = None
    memory: str | None = None
    # several processes
    workers: int | None = None
    shard: str | None = None
    as_worker: bool = False
    slurm: bool = False
    dry_run: bool = False
    slurm_jobs: int | None = None
    slurm_at_once: int | None = None
    slurm_cpus: int | None = None
    slurm_gpus: int | None = None
    slurm_time: str | None = None
    slurm_memory: str | None = None
    slurm_partition: str | None = None
    slurm_option: tuple[str, ...] = ()
    slurm_template: str | None = None

    def given(self, *names: str) -> dict[str, Any]:
        """Those of these options that the command line gives, with their values."""
        values = {name: getattr(self, name) for name in names}
        return {
            name: value for name, value in values.items() if value is not None and value is not False and value != ()
        }


def check_against_recipe(options: InferOptions, recipe: Recipe, where: Path) -> None:
    """Options of the training, which the manual wants repeated, must say what the model file says.

    Raises
    ------
    ContradictionError
        One of them says something else, and both values are named; or the model cannot pick as ``--published`` does.
    """
    if options.published and recipe.scale != 1.0:
        raise ContradictionError(
            f"sees tomograms at {describe_scale(recipe.scale)}",
            where=where,
            expected="a model that sees them as they are, beside --published: it picks whole voxels of them",
            remedy="Leave --published out.",
        )
    grey, last_k = recipe.grey, recipe.architecture_options.get("last_k")
    facts: list[tuple[str, Any, Any]] = [
        ("--arch", options.arch, recipe.architecture),
        ("--last-k", options.last_k, last_k),
        ("--gauss", options.gauss, grey.sigma[2]),
        ("--down-ratio", options.down_ratio, recipe.geometry.stride[2]),
    ]
    for name, given, trained in facts:
        same = math.isclose(given, trained) if isinstance(given, float) else given == trained
        if given is not None and not same:
            stored = f"no {name}" if trained is None else f"{name} {_plain(trained)}"
            raise _contradiction(f"{name} {_plain(given)}", stored, where)
    paired = grey.pairing != "none"
    if options.compress not in (None, paired):
        words = {True: "--compress", False: "--no-compress"}
        raise _contradiction(words[not paired], words[paired], where)


def output_folder(options: InferOptions) -> Path:
    """Where outputs go: ``--out``, or ``exp/semi/EXP_ID/OUT_ID`` as in the published program.

    Raises
    ------
    UsageError
        Both ways, half of the second, a name that is more than a folder's name, or a URL.
    """
    given = {"--exp-id": options.exp_id, "--out-id": options.out_id}
    if set(given.values()) == {None}:
        refuse_writing(options.out or DEFAULT_OUT)
        return options.out or DEFAULT_OUT
    if options.out is not None:
        named = " and ".join(name for name, value in given.items() if value is not None)
        raise UsageError(
            f"given beside {named}", where="--out", expected="one place for the outputs",
            remedy=f"Leave --out or {named} out.",
        )  # fmt: skip
    for name, value in given.items():
        if value is None:
            raise UsageError("is missing", where=name, expected="--exp-id and --out-id together, or --out alone")
        if value in ("", ".", "..") or not value.isprintable() or any(letter in value for letter in "/\\"):
            raise UsageError(f"{value!r}", where=name, expected="a plain name without slashes")
    return EXPERIMENTS.joinpath(*map(str, given.values()))


def parse_machine(options: InferOptions) -> Machine:
    """Where to run: ``--gpus -1`` is no GPU, a number names one that is to be used.

    Raises
    ------
    UsageError
        No number, several, a size that is none, or ``--gpus`` and ``--provider`` that contradict each other.
    """
    from .engine.machine import Machine
    from .engine.planning import parse_memory

    provider, device = options.provider, None
    if options.gpus is not None:
        provider, device = _provider_and_device(provider, options.gpus)
    memory = None if options.memory is None else parse_memory(options.memory)
    return Machine(provider, device, options.threads, memory, options.precision)


def _provider_and_device(provider: str, gpu: str) -> tuple[str, int | None]:
    from .engine.machine import AUTO, NO_GPU
    from .engine.providers.registry import PROVIDERS

    word, on_cpu = gpu.strip(), provider != AUTO and not PROVIDERS[provider].gpu
    if word == "-1":
        if provider != AUTO and not on_cpu:
            raise UsageError(
                f"{provider} beside --gpus -1",
                where="--provider",
                expected="one of them: --gpus -1 is the CPU",
                remedy="Leave --gpus out.",
            )
        return provider, NO_GPU
    if not word.isdecimal() or on_cpu:
        raise UsageError(
            f"{gpu!r}" + (f" beside --provider {provider}" if on_cpu else ""),
            where="--gpus",
            expected="-1 (the CPU) or the number of one GPU",
            remedy="Leave --gpus out.",
        )
    return provider, int(word)


def _contradiction(given: str, trained: str, where: Path) -> ContradictionError:
    return ContradictionError(
        f"was trained with {trained}, but the command line says {given}",
        where=where,
        expected="the same, or nothing: the file knows how it was trained",
        remedy=f"Leave {given.split()[0]} out, or give the model it belongs to.",
    )


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
