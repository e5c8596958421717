"""The models that a page offers. The ones used last stay in memory."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from llama_core.errors import InputError
from llama_core.generate.engine import Engine
from llama_core.generate.load import load
from llama_core.parse import shown
from llama_core.resolve import resolve
from llama_core.url import redact

KEPT = 2  # models in memory: as many as the page shows side by side


class Found(NamedTuple):
    """A model that is ready, and where its name leads now: an alias may lead elsewhere tomorrow."""

    engine: Engine
    url: str


class Models:
    """The models that may be chosen, by what a person calls them: no other is ever loaded.

    `called`: names of the registry, URLs or paths, as `resolve` takes them. What is shown holds no secrets.
    """

    def __init__(self, called: Sequence[str], device: str):
        self._called = {redact(one): one for one in called}
        self._device = device
        self._loaded: OrderedDict[str, Engine] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def names(self) -> list[str]:
        """The names that are shown, in the order that was given."""
        return list(self._called)

    def find(self, name: str) -> Found:
        """Return a model by its name, loaded. Raises InputError for a name that is not offered, and those of `load`."""
        if name not in self._called:
            raise InputError(f"this page does not offer {shown(name)}: choose one of {', '.join(self.names)}")
        url = resolve(self._called[name])
        with self._lock:  # ten who ask at once wait for one loading
            if url not in self._loaded:
                while len(self._loaded) >= KEPT:
                    self._loaded.popitem(last=False)
                self._loaded[url] = Engine(*load(url, self._device))
            self._loaded.move_to_end(url)
            return Found(self._loaded[url], redact(url))
