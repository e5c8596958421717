"""Lets a training tell of each step only after some time, as if its model were larger.

LLAMA_SLOW_UNTIL is the file that makes it as fast as it is. The product knows nothing of this: the module is
found through PYTHONPATH, and only by a test that needs a training to last until something has happened.
"""

import importlib.abc
import importlib.util
import os
import sys
import time

SECONDS = 0.5  # for a step


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def]
        if name != "llama_core.program":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.loader is not None
        run = spec.loader.exec_module

        def exec_module(module):  # type: ignore[no-untyped-def]
            run(module)
            tell = module.tell

            def slow(kind, values):  # type: ignore[no-untyped-def]
                tell(kind, values)
                if kind == "metrics" and not os.path.exists(os.environ["LLAMA_SLOW_UNTIL"]):
                    time.sleep(SECONDS)

            module.tell = slow

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if "LLAMA_SLOW_UNTIL" in os.environ:
    sys.meta_path.insert(0, Finder())
