"""Stops a process of the pipeline at a chosen point, so that a test can kill the whole tree there.

LLAMA_CHAOS=STAGE:POINT names the point (STAGE:POINT@N its N-th time in a process), and may come later than
this module, which is there if the variable is, be it empty. LLAMA_CHAOS_REACHED is the file in which the
process that stands there writes its id; beside it, with `-begun` behind its name, each shard is noted that a
process begins, as the name of the object that commits it.
The product knows nothing of this: the module is found through PYTHONPATH, and only by chaos tests.

    before   the first shard of the stage is not yet begun
    inside   an object of the stage is half written
    objects  the objects of a shard are published, the shard is not committed
    shards   all shards are committed, the manifest is not written
    after    the manifest is written, and nobody has heard of it
"""

import contextlib
import importlib.abc
import importlib.util
import os
import sys
import time

times: dict[str, int] = {}


def stop(point: str) -> None:
    times[point] = times.get(point, 0) + 1
    wanted, _, n = os.environ["LLAMA_CHAOS"].partition("@")
    if point == wanted and times[point] == int(n or 1):
        reached = os.environ["LLAMA_CHAOS_REACHED"]
        with open(f"{reached}-{os.getpid()}", "w") as file:
            file.write(str(os.getpid()))
        os.replace(file.name, reached)  # whoever waits for it finds it whole
        time.sleep(3600)


def note(shard: str) -> None:
    if reached := os.environ.get("LLAMA_CHAOS_REACHED"):
        with open(f"{reached}-begun", "a") as file:
            file.write(f"{shard}\n")


def patch_step(module) -> None:  # type: ignore[no-untyped-def]
    step, draft = module.Step, module.OpenShard
    shard, publish, sealed, commit = step.shard, draft.publish, draft._sealed, step.commit

    @contextlib.contextmanager
    def stopping_shard(self, name):  # type: ignore[no-untyped-def]
        stop(f"{self.stage}:before")
        note(f"{self.name}/shards/{name}.json")
        with shard(self, name) as opened:
            yield opened

    @contextlib.contextmanager
    def stopping_publish(self, name):  # type: ignore[no-untyped-def]
        with publish(self, name) as writer:
            yield writer
            writer.flush()
            stop(f"{self._step.stage}:inside")

    def stopping_sealed(self):  # type: ignore[no-untyped-def]
        stop(f"{self._step.stage}:objects")
        return sealed(self)

    def stopping_commit(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        stop(f"{self.stage}:shards")
        artifact = commit(self, *args, **kwargs)
        stop(f"{self.stage}:after")
        return artifact

    step.shard, step.commit = stopping_shard, stopping_commit
    draft.publish, draft._sealed = stopping_publish, stopping_sealed


def patch_registry(module) -> None:  # type: ignore[no-untyped-def]
    client = module.MlflowClient
    create, alias = client.create_model_version, client.set_registered_model_alias

    def stopping_create(self, name, *args, **kwargs):  # type: ignore[no-untyped-def]
        if "-check-" in name:  # the model of the check at the start of a run
            return create(self, name, *args, **kwargs)
        stop("register:before")
        version = create(self, name, *args, **kwargs)
        stop("register:inside")
        return version

    def stopping_alias(self, name, *args, **kwargs):  # type: ignore[no-untyped-def]
        alias(self, name, *args, **kwargs)
        if "-check-" not in name:
            stop("register:after")

    client.create_model_version, client.set_registered_model_alias = stopping_create, stopping_alias


PATCHES = {"llama_core.step": patch_step, "mlflow.tracking.client": patch_registry}


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def]
        if name not in PATCHES:
            return None
        patch = PATCHES.pop(name)
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.loader is not None
        run = spec.loader.exec_module

        def exec_module(module):  # type: ignore[no-untyped-def]
            run(module)
            patch(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if "LLAMA_CHAOS" in os.environ:
    sys.meta_path.insert(0, Finder())
