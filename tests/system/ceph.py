"""A real S3 server for tests: one Ceph monitor, manager, in-memory OSD and RADOS gateway, on loopback."""

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAMS = ("ceph-mon", "ceph-mgr", "ceph-osd", "radosgw", "radosgw-admin", "ceph-authtool", "monmaptool")


@dataclass(frozen=True)
class Keys:
    """What a client of the server says to be let in."""

    access: str
    secret: str

    @property
    def profile(self) -> str:
        """An AWS credentials file with them."""
        return f"[default]\naws_access_key_id = {self.access}\naws_secret_access_key = {self.secret}\n"


KEYS = Keys("AKIAC4N4RYTEST", "c4n4ry-secret-test")  # of which `canary` finds every trace

CONFIG = """
[global]
fsid = {fsid}
mon host = [v1:127.0.0.1:{mon_port}]
mon initial members = a
public network = 127.0.0.0/8
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
mon allow pool size one = true
osd crush chooseleaf type = 0
mon warn on pool no redundancy = false
mon max pg per osd = 1000
run dir = {folder}
pid file = {folder}/$name.pid
log file = {folder}/$name.log
admin socket = {folder}/$name.asok
keyring = {folder}/keyring
ms bind ipv6 = false
[mon.a]
mon data = {folder}/mon
[mgr.x]
mgr data = {folder}/mgr
[osd.0]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 4294967296
[client.rgw.a]
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw data = {folder}/rgw
"""


GATEWAY = ("radosgw", "-n", "client.rgw.a")


def missing_programs() -> list[str]:
    return [p for p in PROGRAMS if shutil.which(p) is None]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Ceph:
    """Start it with `start`; `endpoint` is the S3 URL. Needs root, no disks and no systemd."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._conf = str(folder / "ceph.conf")
        self._daemons: dict[tuple[str, ...], subprocess.Popen[bytes]] = {}  # by command

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEYS.access,
            "AWS_SECRET_ACCESS_KEY": KEYS.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "MLFLOW_S3_ENDPOINT_URL": self.endpoint,
        }

    def start(self) -> None:
        folder, mon_port = self.folder, free_port()
        for name in ("mon", "mgr", "osd", "rgw"):
            (folder / name).mkdir(parents=True)
        fsid = str(uuid.uuid4())
        (folder / "ceph.conf").write_text(
            CONFIG.format(fsid=fsid, folder=folder, mon_port=mon_port, port=self.port)
        )
        keyring, monmap = str(folder / "keyring"), str(folder / "monmap")
        caps = ["--cap", "mon", "allow *", "--cap", "osd", "allow *"]
        self._run("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", *caps[:3])
        self._run("ceph-authtool", keyring, "--gen-key", "-n", "client.admin", *caps)
        address = f"[v1:127.0.0.1:{mon_port}]"
        self._run("monmaptool", "--create", "--clobber", "--fsid", fsid, "--addv", "a", address, monmap)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring)
        self._daemon("ceph-mon", "-i", "a")
        self._wait(lambda: self._succeeds("ceph", "-s"), 60, "the monitor")
        self._daemon("ceph-mgr", "-i", "x")
        osd = str(uuid.uuid4())
        # A busy monitor may not say in time which commands it has; the same uuid may be sent twice.
        self._wait(lambda: self._succeeds("ceph", "osd", "new", osd), 120, "the number of the OSD")
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self._daemon("ceph-osd", "-i", "0")
        self.start_gateway()
        self._run(
            "radosgw-admin", "user", "create", "--uid=test", "--display-name=test",
            f"--access-key={KEYS.access}", f"--secret-key={KEYS.secret}",
        )  # fmt: skip

    def create(self, keys: Keys) -> None:
        """Let in whoever has other keys as well, as the same user."""
        self._run(
            "radosgw-admin", "key", "create", "--uid=test", "--key-type=s3",
            f"--access-key={keys.access}", f"--secret-key={keys.secret}",
        )  # fmt: skip

    def revoke(self, keys: Keys) -> None:
        self._run("radosgw-admin", "key", "rm", "--uid=test", "--key-type=s3", f"--access-key={keys.access}")

    def make_bucket(self, name: str) -> None:
        self._s3.create_bucket(Bucket=name)

    def delete_bucket(self, name: str) -> None:
        """Delete a bucket with all that is in it, and with the uploads that have begun."""
        client = self._s3

        def deleted() -> bool:
            for upload in client.list_multipart_uploads(Bucket=name).get("Uploads", []):
                client.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
            for entry in client.list_objects_v2(Bucket=name).get("Contents", []):
                client.delete_object(Bucket=name, Key=entry["Key"])
            try:
                client.delete_bucket(Bucket=name)
            except client.exceptions.ClientError:  # what was on its way has come meanwhile
                return False
            return True

        self._wait(deleted, 60, f"the end of {name}")

    @property
    def _s3(self) -> Any:
        import boto3

        keys = {"aws_access_key_id": KEYS.access, "aws_secret_access_key": KEYS.secret}
        return boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1", **keys)

    def start_gateway(self) -> None:
        self._daemon(*GATEWAY)
        self._wait(self._answers, 240, "the gateway")

    def kill_gateway(self) -> None:
        """kill -9: connections break, and nothing answers until `start_gateway`."""
        self._daemons[GATEWAY].kill()
        self._daemons[GATEWAY].wait()

    def stop(self) -> None:
        for process in reversed(self._daemons.values()):
            process.send_signal(signal.SIGKILL)
            process.wait()

    def _daemon(self, program: str, *args: str) -> None:
        with (self.folder / f"{program}.out").open("ab") as log:
            process = subprocess.Popen([program, "-c", self._conf, "-f", *args], stdout=log, stderr=log)
        self._daemons[program, *args] = process

    def _run(self, program: str, *args: str) -> None:
        configured = [] if program in ("ceph-authtool", "monmaptool") else ["-c", self._conf]
        done = subprocess.run([program, *configured, *args], capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError(f"{program} {' '.join(args)}: {done.stderr[-2000:]}")

    def _succeeds(self, *command: str) -> bool:
        try:
            return subprocess.run(
                [command[0], "-c", self._conf, *command[1:]], capture_output=True, timeout=20
            ).returncode == 0  # fmt: skip
        except subprocess.TimeoutExpired:
            return False

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(self.endpoint, timeout=2).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def _wait(self, ready, seconds: float, what: str) -> None:  # type: ignore[no-untyped-def]
        deadline = time.monotonic() + seconds
        while not ready():
            for command, process in list(self._daemons.items()):
                # An OSD that has no monitor map yet is refused with 'wrong fsid', and ends.
                if process.poll() is not None:
                    self._daemon(*command)
            if time.monotonic() > deadline:
                ends = [f"{p.name}: {p.read_text()[-600:]}" for p in self.folder.glob("*.[lo]*[gt]")]
                message = f"{what} of the test S3 server did not come up in {seconds:.0f} s"
                raise RuntimeError("\n".join([message, *ends]))
            time.sleep(0.5)


def is_root() -> bool:
    return os.geteuid() == 0
