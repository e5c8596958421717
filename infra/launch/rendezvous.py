"""Where the agents of a job meet, and their ranks: stores of torch's that listen to no stranger.

torch's own ways do: its c10d rendezvous unpickles what it reads from the store, its static one does not, and
both listen on every network of the machine. This one is static, listens at one address, and is loopback for a
job on one machine.

The agents may meet again, when ranks have failed: each time is a round. All of them share one store for as
long as they live, which tells the number of the newest round. The ranks of each round have a store of their
own: what those of an earlier round have written would lead them to processes that are gone.

There may be more agents than take part in a round. The others are spare: they wait for a round in which they
take the place of one whose node has failed, or that does not come. The first one, which holds the store, is
always among those that take part.
"""

import contextlib
import fcntl
import json
import math
import os
import socket
import struct
import time
from collections.abc import Callable
from datetime import timedelta

from torch.distributed import DistError, PrefixStore, TCPStore
from torch.distributed.elastic.rendezvous import (
    RendezvousHandler,
    RendezvousInfo,
    RendezvousParameters,
    RendezvousStoreInfo,
    rendezvous_handler_registry,
)
from torch.distributed.elastic.rendezvous.utils import parse_rendezvous_endpoint
from torch.distributed.launcher.api import LaunchConfig

from llama_core.errors import LaunchError
from llama_core.train.network import (
    LOOPBACK,
    NETWORK_OF,
    allow_connections,
    open_store,
    stay_on_loopback,
)

NAME = "llama"
TIMEOUT = timedelta(minutes=10)  # how long an agent waits for the others
# Seconds after which agents meet without those that have not come, if there are enough: when ranks have
# failed, and at the start, where each has to import its libraries first.
LATE, LATE_AT_START = 60.0, 300.0
LOOK_EVERY = 1.0  # seconds between two looks for a newer round
ROUND, GIVEN_UP = "round", "given up"
SIOCGIFADDR = 0x8915  # asks Linux for the IPv4 address of an interface


class NotNeeded(Exception):
    """The job has ended without this agent, which was spare, or another agent has given it up."""


def use(config: LaunchConfig, met_again: Callable[[], object]) -> "Meetings":
    """Let the agent of this process meet the others here, and its ranks talk on the same network.

    `met_again` is called by the first agent whenever they have met once more.
    """
    if config.max_nodes == 1:
        config.rdzv_endpoint = f"{LOOPBACK}:0"
        stay_on_loopback()
    else:
        _name_network(config.rdzv_endpoint)
    config.rdzv_backend = NAME
    allow_connections(config.max_nodes * config.nproc_per_node)
    meetings = Meetings(met_again)
    rendezvous_handler_registry.register(NAME, meetings.handler)
    return meetings


class Meetings:
    """The one rendezvous of an agent, and what the agent tells the others there."""

    def __init__(self, met_again: Callable[[], object]):
        self.failures = 0
        """How often ranks of this node have failed for themselves."""
        self._met_again = met_again
        self._handler: Rendezvous | None = None

    def handler(self, parameters: RendezvousParameters) -> "Rendezvous":
        """Return the rendezvous, which is made once."""
        self._handler = self._handler or Rendezvous(parameters, self)
        return self._handler

    def met(self, number: int) -> None:
        """Note that the agents have met for a round."""
        if number > 1:
            self._met_again()

    def give_up(self) -> None:
        """Tell the other agents that the ranks are not started again."""
        if self._handler:
            self._handler.give_up()


class Rendezvous(RendezvousHandler):
    """The static rendezvous of agents: each knows its number, and the first of them holds the store."""

    def __init__(self, parameters: RendezvousParameters, meetings: Meetings):
        self._meetings = meetings
        self._address, self._port = parse_rendezvous_endpoint(parameters.endpoint, 0)
        self._number, self._agents = parameters.config["rank"], parameters.max_nodes
        self._size = parameters.min_nodes  # how many take part
        self._id = parameters.run_id
        self._meeting: TCPStore | None = None
        self._of_ranks: TCPStore | None = None
        self._round = 0
        self._looked = 0.0

    def next_rendezvous(self) -> RendezvousInfo:
        """Meet the other agents in a new round: the store of its ranks is opened.

        Returns when this agent takes part. Raises LaunchError, and NotNeeded where that is never so.
        """
        first = self._number == 0
        if self._meeting is None:
            self._meeting = open_store(self._address, self._port, self._agents, first, TIMEOUT)
            self._meeting.add(ROUND, 0)
        try:
            while (place := self._meet(self._meeting, first)) is None:
                self._await_round()
        except DistError as error:  # the first agent has ended
            raise NotNeeded from error
        return place

    def _meet(self, meeting: TCPStore, first: bool) -> RendezvousInfo | None:
        """Meet the other agents in a new round, and return this one's place, or None where it has none."""
        self._round = max(self._round + 1, self._newest())
        meeting.set(ROUND, str(self._round))
        store = PrefixStore(f"{self._id}/{self._round}", meeting)
        store.set(f"failures/{self._number}", str(self._meetings.failures))
        if first:
            store.set("chosen", json.dumps(self._choose(store)))
            self._meetings.met(self._round)
            self._of_ranks = open_store(self._address, 0, self._size, True, TIMEOUT)
            store.set("port", str(self._of_ranks.port))
        self._await(lambda: store.check(["chosen"]))
        chosen = json.loads(store.get("chosen"))
        if self._number not in chosen:
            return None
        place = RendezvousStoreInfo(self._address, int(store.get("port")))
        return RendezvousInfo(store, chosen.index(self._number), self._size, place)

    def _choose(self, store: PrefixStore) -> list[int]:
        """Wait for the agents, and return those that take part: those whose nodes have failed least."""
        late = time.monotonic() + (LATE if self._round > 1 else LATE_AT_START)
        told = [f"failures/{n}" for n in range(self._agents)]
        here: list[int] = []

        def have_come() -> bool:
            if store.check(told):
                here[:] = range(self._agents)
            elif self._size < self._agents and time.monotonic() > late:
                here[:] = [n for n, key in enumerate(told) if store.check([key])]
            return len(here) >= self._size

        self._await(have_come)
        failures = {n: int(store.get(told[n])) for n in here}
        best = sorted(here, key=lambda n: (n != 0, failures[n], n))
        return sorted(best[: self._size])

    def _await_round(self) -> None:
        """Wait, as a spare agent, for a newer round, however long."""
        self._await(lambda: self._newest() > self._round, math.inf)

    def _await(self, condition: Callable[[], bool], seconds: float = TIMEOUT.total_seconds()) -> None:
        """Wait for a condition, unless an agent has given up. In Python, so that signals are heeded."""
        assert self._meeting is not None
        deadline = time.monotonic() + seconds
        while not condition():
            if self._meeting.check([GIVEN_UP]):
                raise NotNeeded
            if time.monotonic() > deadline:
                raise LaunchError(f"too few of {self._size} nodes have come to start ranks")
            time.sleep(LOOK_EVERY / 4)

    def give_up(self) -> None:
        """Tell the other agents that the ranks are not started again."""
        if self._meeting is not None:
            with contextlib.suppress(DistError):  # the first agent is gone
                self._meeting.set(GIVEN_UP, "")

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
        if self._agents == 1 or time.monotonic() - self._looked < LOOK_EVERY:
            return 0
        self._looked = time.monotonic()
        try:
            return int(self._newest() > self._round)
        except DistError as error:  # the first agent has ended
            raise NotNeeded from error

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
