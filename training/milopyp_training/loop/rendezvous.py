"""How processes that train together find each other: from what ``torchrun`` sets to a store that all of them see."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from torch.distributed import DistError, PrefixStore, Store, TCPStore  # type: ignore[attr-defined]

from milopyp_shared.errors import CheckError, ContradictionError, UsageError

from ..methods.base import ALONE, WorldInfo

VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
LIMIT = 600.0  # seconds that the last process may come after the first
SAID_AFTER = 10.0
_TRY = timedelta(seconds=1)  # while it lasts, PyTorch does not let a process be interrupted
_TALK = timedelta(minutes=30)  # PyTorch's own limit, from then on
_PAUSE = 0.2
_CAME = "came"


@dataclass(frozen=True)
class Invitation:
    """What a process is told of the others.

    Attributes
    ----------
    world
        Which of them it is, of how many.
    local_rank
        Which of those on this machine.
    hosted
        Whether ``torchrun`` holds the store; else the first process does.
    attempt
        How often ``torchrun`` has started them anew.
    """

    world: WorldInfo = ALONE
    local_rank: str = "0"
    host: str = ""
    port: int = 0
    hosted: bool = False
    attempt: str = "0"


def read_invitation(environment: Mapping[str, str] = os.environ) -> Invitation:
    """What the environment says; one process alone without ``WORLD_SIZE``.

    Raises
    ------
    ContradictionError
        It names several processes, and not which of them this is: one that trained alone then would do a part of
        what was asked for, or the same as another.
    UsageError
        A number that is none, or does not fit the others.
    """
    if not environment.get("WORLD_SIZE"):
        return Invitation()
    size = _number(environment, "WORLD_SIZE", 1)
    if size == 1:
        return Invitation()
    if missing := [name for name in VARIABLES if not environment.get(name)]:
        raise ContradictionError(
            f"is {size} in the environment, without {', '.join(missing)}",
            where="WORLD_SIZE",
            expected="what torchrun sets, or none of it",
            remedy=f"Start with torchrun --nproc-per-node {size} -m milopyp_training.cli, or unset WORLD_SIZE to train "
            "in one process.",
        )
    return Invitation(
        WorldInfo(_number(environment, "RANK", 0, size - 1), size),
        str(_number(environment, "LOCAL_RANK", 0)),
        environment["MASTER_ADDR"],
        _number(environment, "MASTER_PORT", 0, 65535),
        environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        environment.get("TORCHELASTIC_RESTART_COUNT", "0"),
    )


def meet(invitation: Invitation, say: Callable[[str], None]) -> Store:
    """Wait for the other processes, so that it can be interrupted; the store through which they talk.

    Parameters
    ----------
    say
        Told once who is missing, when it takes long.

    Raises
    ------
    CheckError
        They do not come, or this process cannot wait for them where it is told to.
    """
    size, address = invitation.world.size, f"{invitation.host}:{invitation.port}"
    start, store, said = time.monotonic(), None, False
    while True:
        if store is None and (store := _opened(invitation)):
            store.add(_CAME, 1)
        came = _count(store, address)
        if store is not None and came >= size:
            store.set_timeout(_TALK)
            return store
        waited = time.monotonic() - start
        who = f"{size - came if store else 'the first'} of {size} processes"
        if waited > LIMIT:
            raise CheckError(
                f"{who} did not come within {LIMIT:.0f} s",
                where=address,
                expected=f"{size}, as WORLD_SIZE says",
                remedy="Look at what the others say; torchrun starts them all.",
            )
        if waited > SAID_AFTER and not said:
            say(f"waiting for {who} at {address}, {LIMIT / 60:.0f} minutes at most")
            said = True
        time.sleep(_PAUSE)


def _count(store: Store | None, address: str) -> int:
    """How many processes have come."""
    if store is None:
        return 0
    try:
        return int(store.add(_CAME, 0))
    except DistError as error:
        raise CheckError(f"the first process is gone ({_first_line(error)})", where=address) from error


def _opened(invitation: Invitation) -> Store | None:
    """The store; None as long as the process that holds it is not there."""
    address = invitation.host, invitation.port
    holds = invitation.world.rank == 0 and not invitation.hosted
    try:
        if not holds:  # PyTorch would wait, and say a page of its own
            socket.create_connection(address, _TRY.total_seconds()).close()
        store = TCPStore(*address, None, holds, timeout=_TRY, wait_for_workers=False)
    except (OSError, DistError) as error:
        if holds:
            raise CheckError(
                f"no other process can be waited for there ({_first_line(error)})",
                where=f"{invitation.host}:{invitation.port}",
                expected="this machine in MASTER_ADDR, and a free port in MASTER_PORT",
            ) from error
        return None
    return PrefixStore(f"milopyp {invitation.attempt}", store)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]


def _number(environment: Mapping[str, str], name: str, least: int, most: int | None = None) -> int:
    text = environment[name]
    if not text.isdecimal() or not least <= int(text) <= (int(text) if most is None else most):
        raise UsageError(
            f"{text!r} in the environment",
            where=name,
            expected=f"{least} or more" if most is None else f"{least} to {most}",
            remedy="torchrun sets it; unset WORLD_SIZE to train in one process.",
        )
    return int(text)
