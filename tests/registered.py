"""A small model that was exported and scored, for tests of the registry."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from llama_core.artifact import Artifact, write_index
from llama_core.export.pyfunc_model import SUMS
from llama_core.store import Store
from tasks.export import attempt_of
from tasks.register import Version, register
from tasks.run import Run


@dataclass
class Model:
    """A small model that was exported and scored, and can be registered."""

    run: Run
    lineage: dict[str, Artifact]
    evaluation: Artifact
    exported: Artifact

    def register(self) -> Version:
        return register.fn(self.run, self.lineage, self.evaluation, self.exported)

    @property
    def folder(self) -> Path:
        return Path(self.exported.store.path(attempt_of(self.exported)))

    def change(self, name: str) -> None:
        """Change one byte in the middle of a file of the export."""
        data = bytearray((self.folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (self.folder / name).write_bytes(data)


def made_steps(store: Store) -> set[str]:
    return {name.removesuffix("/manifest.json") for name in store.list() if name.endswith("/manifest.json")}


def rewrite(model: Model, name: str, data: bytes) -> None:
    """Change a file of the export, and its list and the step's index and manifest so that they fit."""
    folder, start = model.exported.store, f"{model.folder.name}/"
    entries = {entry.name: entry for entry in model.exported.shard("model").objects}
    entries[start + name] = folder.publish_bytes(start + name, data)
    plain = sorted((n.removeprefix(start), e.sha256) for n, e in entries.items() if not n.endswith(SUMS))
    listed = "".join(f"{digest}  {n}\n" for n, digest in plain).encode()
    entries[start + SUMS] = folder.publish_bytes(start + SUMS, listed)
    shard = dataclasses.replace(model.exported.shard("model"), objects=tuple(entries.values()))
    manifest = dict(model.exported.manifest)
    with folder.publish(manifest["index"]["name"]) as file:
        write_index(file, [shard])
    assert file.object is not None
    folder.publish_json("manifest.json", manifest | {"index": file.object.as_dict()})
    model.exported = Artifact.load(model.run.store, model.exported.name)
