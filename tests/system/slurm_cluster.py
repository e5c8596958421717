"""A real Slurm on this machine: munged, slurmctld and three slurmd, without systemd and without cgroups.

Everything lies in one folder and listens on loopback. Needs the Debian packages
slurmctld, slurmd, slurm-client and munge.
"""

import contextlib
import getpass
import os
import random
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
from busy import patience

NODES = 3
CPUS = 2
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")

CONFIGURATION = r"""
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=15
TCPTimeout=20
BatchStartTimeout=120
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdSpoolDir={folder}/spool-%n
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MailProg=/bin/true
FirstJobId={first_job}
ReturnToService=2
KillWait=5
GresTypes=gpu
NodeName=n[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs={cpus} \
    RealMemory=2000 Gres=gpu:2
PartitionName=main Nodes=n[1-{nodes}] Default=YES MaxTime=INFINITE State=UP
PartitionName=half Nodes=n1 MaxTime=INFINITE State=UP
"""
# A GPU is a character device; any will do.
DEVICES = """
NodeName=n[1-{nodes}] Name=gpu File=/dev/null
NodeName=n[1-{nodes}] Name=gpu File=/dev/zero
"""


def missing() -> list[str]:
    """The programs that are not installed here."""
    return [p for p in PROGRAMS if not _which(p)]


class SlurmCluster:
    """`with SlurmCluster(folder) as cluster:`; `cluster.environment` is what Slurm's commands need."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}
        self._daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "SlurmCluster":
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for daemon in reversed(self._daemons):
            daemon.terminate()
        for daemon in self._daemons:
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()

    def command(self, *command: str) -> str:
        env = {"PATH": os.environ["PATH"]} | self.environment
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout

    @contextlib.contextmanager
    def without_controller(self) -> Iterator[None]:
        """Kill slurmctld for the length of the block. Jobs that run now are known to it afterwards."""
        self._save_state()
        controller = self._daemons.pop(1)
        controller.kill()
        controller.wait()
        try:
            yield
        finally:
            self._daemon("slurmctld", "-D")
            self._daemons.insert(1, self._daemons.pop())
            self._wait(lambda: self.command("squeue") != "")

    @contextlib.contextmanager
    def without_node(self, name: str) -> Iterator[None]:
        """Let a node die for the length of the block: all of its processes are killed, and it is down.

        Slurm itself would notice after SlurmdTimeout, which is five minutes.
        """
        number = int(name[1:])
        slurmd = self._daemons.pop(1 + number)
        slurmd.kill()
        slurmd.wait()
        mine = self.environment | {"SLURMD_NODENAME": name}
        for process in psutil.process_iter(["environ"]):
            if mine.items() <= (process.info["environ"] or {}).items():
                with contextlib.suppress(psutil.NoSuchProcess):
                    steps = [p for p in process.parents() if p.name() == "slurmstepd"]
                    for one in (*steps, process):
                        one.kill()
        self.command("scontrol", "update", f"nodename={name}", "state=down", "reason=dead")
        try:
            yield
        finally:
            self._daemon("slurmd", "-D", "-N", name)
            self._daemons.insert(1 + number, self._daemons.pop())

    def end_jobs(self) -> None:
        """Cancel all jobs, and take back the nodes that Slurm has drained, so that the next ones can run."""
        self.command("scancel", "--full", "--user", str(os.getuid()))
        self._wait(lambda: self.command("squeue", "--noheader") == "")
        of = ("--noheader", "--Node", "--partition=main", "--states=drain,down", "--format=%N")
        drained = self.command("sinfo", *of)
        for node in drained.split():
            self.command("scontrol", "update", f"nodename={node}", "state=resume")
        self._wait_until_idle()

    def _save_state(self) -> None:
        """Let slurmctld write down which jobs run, which it does up to five seconds after their start.

        One that is killed before takes them for pending when it is back: it starts each again, on a node that
        still runs it, and so the node is drained and the job waits for ever.
        """
        running = self.command("squeue", "--noheader", "--states=running", "--format=%A").split()
        shown = time.time_ns() + 10**9  # a save that ends later has begun later than they were shown

        def saved() -> bool:
            for job in running:
                self.command("scontrol", "update", f"jobid={job}", "requeue=1")  # it is; updates are saved
            return (self.folder / "state/job_state").stat().st_mtime_ns > shown

        self._wait(saved)

    def _start(self) -> None:
        folder, first = self.folder, _free_ports(NODES + 1)
        values = {
            "host": socket.gethostname().split(".")[0],
            "user": getpass.getuser(),
            "folder": folder,
            "nodes": NODES,
            "cpus": CPUS,
            "ctld_port": first,
            "first": first + 1,
            "last": first + NODES,
            "first_job": random.randrange(1, 60_000_000),  # jobs take ports by their numbers
        }
        (folder / "state").mkdir(parents=True)
        (folder / "slurm.conf").write_text(CONFIGURATION.format(**values))
        (folder / "gres.conf").write_text(DEVICES.format(**values))
        key = folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(1024))
        files = {"socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        options = [f"--{option}={folder}/munge.{ending}" for option, ending in files.items()]
        self._daemon("munged", "--foreground", "--force", f"--key-file={key}", *options)
        self._daemon("slurmctld", "-D")
        for n in range(1, NODES + 1):
            self._daemon("slurmd", "-D", "-N", f"n{n}")
        self._wait_until_idle()

    def _daemon(self, name: str, *options: str) -> None:
        with (self.folder / f"{name}.out").open("ab") as out:
            command = [str(_which(name)), *options]
            environment = os.environ | self.environment
            self._daemons.append(
                subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment)
            )

    def _wait_until_idle(self) -> None:
        idle = ("sinfo", "-h", "-p", "main", "-t", "idle", "-o", "%D")
        self._wait(lambda: self.command(*idle).strip() == str(NODES))

    def _wait(self, is_up: Callable[[], bool]) -> None:
        deadline = time.monotonic() + patience(60)
        while True:
            try:
                if is_up():
                    return
            except (subprocess.CalledProcessError, FileNotFoundError):
                pass
            if time.monotonic() > deadline:
                logs = [f"{p.name}: {p.read_text()[-2000:]}" for p in self.folder.glob("*.out")]
                raise RuntimeError("Slurm did not start.\n" + "\n".join(logs))
            time.sleep(0.5)


def _which(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _free_ports(count: int) -> int:
    """The first of `count` ports in a row that are free now."""
    start = random.randrange(17000, 19000)  # another cluster may look for some at the same moment
    for first in range(start, start + 1000, count):
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise RuntimeError("no free ports")
