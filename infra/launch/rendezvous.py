"""Where the agents of a job meet, and their ranks: stores of torch's that listen to no stranger.

torch's own ways do: its c10d rendezvous unpickles what it reads from the store, its static one does not, and
both listen on every network of the machine. This one is static, listens at one address, and is loopback for a
job on one machine.

The agents may meet again, when ranks have failed: each time is a round. All of them share one store for as
long as they live, which tells the number of the newest round. The ranks of each round have a store of their
own: what those of an earlier round have written would lead them to processes that are gone.
"""

import contextlib
import fcntl
import os
import socket
import struct
import time
from collections.abc import Callable
from datetime import timedelta

from torch.distributed import PrefixStore, TCPStore
from torch.distributed.elastic.rendezvous import (
    RendezvousHandler,
    RendezvousInfo,
    RendezvousParameters,
    RendezvousStoreInfo,
    rendezvous_handler_registry,
)
from torch.distributed.elastic.rendezvous.utils import parse_rendezvous_endpoint
from torch.distributed.launcher.api import LaunchConfig

from llama_core.train.network import (
    LOOPBACK,
    NETWORK_OF,
    allow_connections,
    open_store,
    stay_on_loopback,
)

NAME = "llama"
TIMEOUT = timedelta(minutes=10)  # how long an agent waits for the others
LOOK_EVERY = 1.0  # seconds between two looks for a newer round
ROUND = "round"
SIOCGIFADDR = 0x8915  # asks Linux for the IPv4 address of an interface


def use(config: LaunchConfig, met_again: Callable[[], object]) -> None:
    """Let the agent of this process meet the others here, and its ranks talk on the same network.

    `met_again` is called by the first agent whenever all have met once more.
    """
    if config.max_nodes == 1:
        config.rdzv_endpoint = f"{LOOPBACK}:0"
        stay_on_loopback()
    else:
        _name_network(config.rdzv_endpoint)
    config.rdzv_backend = NAME
    allow_connections(config.max_nodes * config.nproc_per_node)
    made: list[Rendezvous] = []

    def the_only(parameters: RendezvousParameters) -> Rendezvous:
        if not made:
            made.append(Rendezvous(parameters, met_again))
        return made[0]

    rendezvous_handler_registry.register(NAME, the_only)


class Rendezvous(RendezvousHandler):
    """The static rendezvous of agents: each knows its rank, and the first of them holds the store."""

    def __init__(self, parameters: RendezvousParameters, met_again: Callable[[], object]):
        self._met_again = met_again
        self._address, self._port = parse_rendezvous_endpoint(parameters.endpoint, 0)
        self._rank, self._size = parameters.config["rank"], parameters.max_nodes
        self._id = parameters.run_id
        self._meeting: TCPStore | None = None
        self._of_ranks: TCPStore | None = None
        self._round = 0
        self._looked = 0.0

    def next_rendezvous(self) -> RendezvousInfo:
        """Meet the other agents in a new round: the store of its ranks is opened. Raises LaunchError."""
        first = self._rank == 0
        if self._meeting is None:
            self._meeting = open_store(self._address, self._port, self._size, first, TIMEOUT)
            self._meeting.add(ROUND, 0)
        self._round = max(self._round + 1, self._newest())
        self._meeting.set(ROUND, str(self._round))
        store = PrefixStore(f"{self._id}/{self._round}", self._meeting)
        if store.add("here", 1) == self._size:
            store.set("all here", "")
        store.wait(["all here"], TIMEOUT)  # with what they have written of their ranks' ends
        if first:
            if self._round > 1:
                self._met_again()
            self._of_ranks = open_store(self._address, 0, self._size, True, TIMEOUT)
            store.set("port", str(self._of_ranks.port))
        place = RendezvousStoreInfo(self._address, int(store.get("port")))
        return RendezvousInfo(store, self._rank, self._size, place)

    @property
    def use_agent_store(self) -> bool:
        """Ranks use the agent's store, and open none of their own."""
        return True

    def get_backend(self) -> str:
        """Return the name of this rendezvous."""
        return NAME

    def get_run_id(self) -> str:
        """Return torch's id of the job, under which the agents keep what they write into the store."""
        return self._id

    def is_closed(self) -> bool:
        """Tell that agents may meet again."""
        return False

    def set_closed(self) -> None:
        """Do nothing: a job ends with its agents."""

    def num_nodes_waiting(self) -> int:
        """Return 1 where another agent waits in a newer round, because its ranks have failed, else 0."""
        if self._size == 1 or time.monotonic() - self._looked < LOOK_EVERY:
            return 0
        self._looked = time.monotonic()
        return int(self._newest() > self._round)

    def _newest(self) -> int:
        assert self._meeting is not None
        return int(self._meeting.get(ROUND))

    def shutdown(self) -> bool:
        """Do nothing: the stores end with their agent."""
        return True


def _name_network(endpoint: str) -> None:
    """Let ranks talk on the network by which this node reaches the meeting, if nobody has named another."""
    address, port = parse_rendezvous_endpoint(endpoint, 0)
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, port))  # sends nothing
        mine = probe.getsockname()[0]
        if mine.startswith("127.") and mine != address:
            return  # the node's own name in its /etc/hosts
        for _, interface in socket.if_nameindex():
            request = struct.pack("256s", interface.encode())
            with contextlib.suppress(OSError):
                found = fcntl.ioctl(probe, SIOCGIFADDR, request)[20:24]
                if socket.inet_ntoa(found) == mine:
                    for network in NETWORK_OF:
                        os.environ.setdefault(network, interface)
                    return
