"""The models that a page offers. The ones used last stay in memory."""

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from llama_core.errors import InputError
from llama_core.generate.engine import Engine
from llama_core.generate.load import load
from llama_core.parse import shown
from llama_core.resolve import resolve
from llama_core.url import redact

LOOK_AGAIN = 30.0  # seconds after which a name is looked up anew
KEPT = 2  # models in memory: as many as the page shows side by side


class Found(NamedTuple):
    """A model that is ready, and where its name leads now: an alias may lead elsewhere tomorrow."""

    engine: Engine
    url: str


class Models:
    """The models that may be chosen, by what a person calls them: no other is ever loaded."""

    def __init__(self, called: Sequence[str], device: str):
        self._called = {redact(one): one for one in called}
        self._device = device
        self._urls: dict[str, tuple[float, str]] = {}
        self._loaded: OrderedDict[str, Engine] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def names(self) -> list[str]:
        """The names as they are shown, without secrets, in the order that was given."""
        return list(self._called)

    def find(self, name: str) -> Found:
        """Return a model by its name, loaded.

        Raises InputError for a name that is not offered, and the errors of `resolve` and `load`.
        """
        if name not in self._called:
            raise InputError(f"this page does not offer {shown(name)}: choose one of {', '.join(self.names)}")
        with self._lock:  # ten who ask at once wait for one loading
            url = self._url(self._called[name])
            if url not in self._loaded:
                while len(self._loaded) >= KEPT:
                    self._loaded.popitem(last=False)
                self._loaded[url] = Engine(*load(url, self._device))
            self._loaded.move_to_end(url)
            return Found(self._loaded[url], redact(url))

    def _url(self, called: str) -> str:
        """Return where a name leads: it is looked up again after some time, as an alias may have moved."""
        when, url = self._urls.get(called, (float("-inf"), ""))
        if time.monotonic() - when > LOOK_AGAIN:
            url = resolve(called)
            self._urls[called] = time.monotonic(), url
        return url
