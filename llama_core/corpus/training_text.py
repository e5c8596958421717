"""The training text: what tokenizers and models are trained on."""

from collections.abc import Iterator
from dataclasses import dataclass

from llama_core.artifact import Artifact, Shard
from llama_core.corpus.decisions import read_decisions
from llama_core.corpus.decontaminate.plan import DROPPED, TRAIN_OBJECT
from llama_core.corpus.document import Document, read_documents


@dataclass(frozen=True)
class TrainingText:
    """The training documents of a corpus, without those that decontamination leaves out.

    `decontaminated` is None where the corpus was not compared with evaluation sets.
    """

    corpus: Artifact
    decontaminated: Artifact | None = None

    @property
    def stages(self) -> tuple[Artifact, ...]:
        """The corpus, and its decontamination if that was run."""
        return (self.corpus, self.decontaminated) if self.decontaminated else (self.corpus,)

    def digests(self, role: str) -> dict[str, str]:
        """Return the digests by role (see `step.Input`).

        Where decontamination left nothing out, this is the corpus's alone, and so is what an address depends
        on.
        """
        if self.decontaminated is None or not self.decontaminated.counts.get(DROPPED):
            return self.corpus.digests(role)
        return self.corpus.digests(role) | self.decontaminated.digests("decontaminate")

    def folders(self, role: str) -> dict[str, list[str]]:
        """Return the folders of the corpus and of its decontamination, by role (see `step.Input`)."""
        folders = self.corpus.folders(role)
        return folders | self.decontaminated.folders("decontaminate") if self.decontaminated else folders

    @property
    def shards(self) -> list[Shard]:
        """The corpus shards that have training documents, in the order of their names."""
        return [shard for shard in self.corpus.shards if shard.counts.get("documents.train")]

    def read(self, shard: str) -> Iterator[Document]:
        """Yield the training documents of a corpus shard that has some. Raises DamagedError."""
        documents = read_documents(self.corpus, shard, TRAIN_OBJECT)
        if self.decontaminated is None or not self.decontaminated.shard(shard).counts.get(DROPPED):
            yield from documents
            return
        for document, decision in zip(documents, read_decisions(self.decontaminated, shard), strict=True):
            assert decision.id == document.id, (
                f"{shard}: the decision on {decision.id} is not about {document.id}"
            )
            if decision.keep:
                yield document
