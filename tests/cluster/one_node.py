"""A SLURM cluster of one node on this machine, in a folder of its own, stopped at the end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
AuthInfo=socket={folder}/munge.socket
SlurmUser=root
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1
ReturnToService=2
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=2000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str | None:
    """Why there can be no cluster here."""
    if os.geteuid() != 0:
        return "only root can start munged and slurmd"
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"no {', '.join(absent)} here: make test-cluster installs them where it may" if absent else None


@contextmanager
def one_node() -> Iterator[None]:
    """The cluster runs within the block; SLURM's commands find it through the environment."""
    folder = Path(tempfile.mkdtemp(prefix="milopyp-slurm-", dir="/tmp"))
    folder.chmod(0o755)
    configuration = folder / "slurm.conf"
    os.environ["SLURM_CONF"] = str(configuration)
    started: list[subprocess.Popen[bytes]] = []
    try:
        _configure(folder, configuration)
        started.append(_start("munged", "--foreground", "--force", *(f"--{name}" for name in _munge(folder))))
        _wait_for(lambda: (folder / "munge.socket").exists(), folder)
        started.append(_start("slurmctld", "-D", "-f", str(configuration)))
        started.append(_start("slurmd", "-D", "-f", str(configuration), "-N", socket.gethostname()))
        _wait_for(lambda: "idle" in _call("sinfo", "--noheader", "--format", "%T"), folder)
        yield
        _call("scancel", "--user", "root")
    finally:
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
        for process in started:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _configure(folder: Path, configuration: Path) -> None:
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    configuration.write_text(CONFIGURATION.format(host=socket.gethostname(), folder=folder, ports=_free_ports()))
    # a container has no cgroups to give; the plugin that does nothing is newer than some versions of SLURM
    plugins = list(Path("/usr/lib").glob("*/slurm*/cgroup_disabled.so"))
    (folder / "cgroup.conf").write_text(f"CgroupPlugin={'disabled' if plugins else 'cgroup/v1'}\n")


def _munge(folder: Path) -> list[str]:
    files = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munged.pid", "log-file": "munged.log"}
    return [f"{option}={folder / name}" for option, name in (files | {"seed-file": "munge.seed"}).items()]


def _free_ports() -> list[int]:
    sockets = [socket.socket() for _ in range(2)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _start(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _call(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True).stdout


def _wait_for(condition: Callable[[], object], folder: Path) -> None:
    end = time.monotonic() + 60
    while not condition():
        if time.monotonic() > end:
            logs = "\n".join(f"{path.name}: {path.read_text()[-800:]}" for path in folder.glob("*.log"))
            raise AssertionError(f"the cluster did not start\n{logs}")
        time.sleep(0.2)
