"""The central join: a source's documents, as ingest wrote them, with what later stages decided about them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from llama_core.artifact import Artifact, Shard
from llama_core.corpus.decisions import Decision, apply_cuts, read_decisions
from llama_core.corpus.document import Document, read_documents


@dataclass(frozen=True)
class Documents:
    """The documents of a source after some stages: the ingested text, and what was decided about it.

    As the input of a step its role is the name of its source, or a name that ends in it.
    """

    source: str
    ingested: Artifact
    """The source's text, as ingest wrote it."""
    decided: tuple[Artifact, ...] = ()
    """The decisions of later stages, in the order of the stages."""

    def after(self, *decided: Artifact) -> "Documents":
        """Return the documents as further stages left them."""
        return replace(self, decided=(*self.decided, *decided))

    def digests(self, role: str) -> dict[str, str]:
        """Return the digest of every stage by role (see `step.Input`)."""
        return {role: self.ingested.digest} | {f"{role}.{a.stage}": a.digest for a in self.decided}

    def folders(self, role: str) -> dict[str, list[str]]:
        """Return the folder of every stage under the one role (see `step.Input`)."""
        return {role: [artifact.name for artifact in self.stages]}

    @property
    def stages(self) -> tuple[Artifact, ...]:
        """Ingest, and every stage that has decided about these documents."""
        return (self.ingested, *self.decided)

    @property
    def shards(self) -> list[Shard]:
        """The shards of ingest."""
        return self.ingested.shards

    def shards_of(self, artifact: Artifact) -> list[Shard]:
        """Return the shards of a stage that are about this source, in the order of ingest."""
        return [found for shard in self.shards for found in self.about(artifact, shard.name)]

    def about(self, artifact: Artifact, shard: str) -> list[Shard]:
        """Return, in a list, the shard of a stage that is about an ingest shard.

        The list is empty where the stage has none, because none of those documents reached it.
        """
        name = self._name(artifact, shard)
        return [artifact.shard(name)] if artifact.has(name) else []

    def read(self, shard: str) -> Iterator[Document]:
        """Yield the documents of an ingest shard that every stage kept, with their cuts made.

        Raises DamagedError.
        """
        stages = [read_decisions(artifact, self._name(artifact, shard)) for artifact in self.decided]
        for document in read_documents(self.ingested, shard):
            if _apply(stages, document):
                yield document

    def _name(self, artifact: Artifact, shard: str) -> str:
        """Return a stage's name for an ingest shard: a step over several sources has the source in it."""
        return shard if artifact.has(shard) else f"{self.source}.{shard}"


def _apply(stages: Sequence[Iterator[Decision]], document: Document) -> bool:
    """Apply each stage's next decision to a document, and tell whether all of them keep it.

    A stage has a decision only for a document that reached it, so the stages after one that drops the
    document are not asked.
    """
    for decisions in stages:
        decision = next(decisions)
        assert decision.id == document.id, f"the decision on {decision.id} is not about {document.id}"
        if not decision.keep:
            return False
        document.text = apply_cuts(document.text, decision.cuts)
        document.language = decision.language or document.language
    return True
