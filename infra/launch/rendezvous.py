"""Where the agents of a job meet, and their ranks: a store of torch's that listens to no stranger.

torch's own ways do: its c10d rendezvous unpickles what it reads from the store, its static one does not, and
both listen on every network of the machine. This one is static, listens at one address, and is loopback for a
job on one machine.
"""

import contextlib
import fcntl
import os
import socket
import struct
from datetime import timedelta

from torch.distributed import PrefixStore
from torch.distributed.elastic.rendezvous import (
    RendezvousHandler,
    RendezvousInfo,
    RendezvousParameters,
    RendezvousStoreInfo,
    rendezvous_handler_registry,
)
from torch.distributed.elastic.rendezvous.utils import parse_rendezvous_endpoint
from torch.distributed.launcher.api import LaunchConfig

from llama_core.train.network import LOOPBACK, NETWORK_OF, open_store, stay_on_loopback

NAME = "llama"
TIMEOUT = timedelta(minutes=10)  # how long an agent waits for the others
SIOCGIFADDR = 0x8915  # asks Linux for the IPv4 address of an interface


def use(config: LaunchConfig) -> None:
    """Let the agent of this process meet the others here, and its ranks talk on the same network."""
    if config.max_nodes == 1:
        config.rdzv_endpoint = f"{LOOPBACK}:0"
        stay_on_loopback()
    else:
        _name_network(config.rdzv_endpoint)
    config.rdzv_backend = NAME
    rendezvous_handler_registry.register(NAME, Rendezvous)


class Rendezvous(RendezvousHandler):
    """The static rendezvous of agents: each knows its rank, and the first of them holds the store."""

    def __init__(self, parameters: RendezvousParameters):
        self._address, self._port = parse_rendezvous_endpoint(parameters.endpoint, 0)
        self._rank, self._size = parameters.config["rank"], parameters.max_nodes
        self._id = parameters.run_id

    def next_rendezvous(self) -> RendezvousInfo:
        """Open the store: its address is also the one that ranks are told. Raises LaunchError."""
        store = open_store(self._address, self._port, self._size, self._rank == 0, TIMEOUT)
        place = RendezvousStoreInfo(self._address, store.port)
        return RendezvousInfo(PrefixStore(self._id, store), self._rank, self._size, place)

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
        """Return that no other node waits to come in: their number is fixed."""
        return 0

    def shutdown(self) -> bool:
        """Do nothing: the store ends with its agent."""
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
