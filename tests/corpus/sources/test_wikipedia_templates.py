"""The templates of a Wikipedia, collected from all its files first: restarts, splits, other languages."""

from pathlib import Path

import pytest
from corpus.dumps import PROSE, multistream, page, wiki
from corpus.helpers import documents_of, is_conserved
from corpus.stages import ingest_source

from llama_core.artifact import Artifact
from llama_core.corpus import ingest
from llama_core.corpus.recipe import Wikipedia
from llama_core.errors import InputError
from llama_core.phases import Phase, execute
from llama_core.step import Step
from llama_core.store import Store

ARTICLE = page(1, "A", f"Es sind {{{{Zahl|12345}}}} {{{{Kurz|x}}}} Häuser{{{{Fehlt}}}}. {PROSE}")
ZAHL = page(2, "Vorlage:Zahl", "<includeonly>{{formatnum:{{{1}}}}}</includeonly>", ns=10)
KURZ = page(3, "Vorlage:Kurz", "#WEITERLEITUNG [[Vorlage:Klein]]", ns=10, redirect="Vorlage:Klein")
KLEIN = page(4, "Vorlage:Klein", "<small>{{{1}}}{{Zahl|1000}}</small>", ns=10)
SAYS = "Es sind 12.345 x1.000 Häuser."


def dump(folder: Path, name: str, *pages: str, language: str = "de") -> str:
    path = folder / f"{language}wiki-20220601-pages-articles{name}.xml.bz2"
    path.write_bytes(multistream(wiki(*pages, language=language)))
    return str(path)


def source_of(*urls: str) -> Wikipedia:
    return Wikipedia(kind="wikipedia", urls=list(urls))


def step_of(store: Store, source: Wikipedia) -> Step:
    inputs = {raw.name: raw.digest for raw in ingest.raw_files("wiki", source)}
    return Step(store, "ingest", ingest.REVISION, ingest.identity("wiki", source), inputs)


def texts(artifact: Artifact) -> list[str]:
    return sorted(document.text for document in documents_of(artifact))


@pytest.mark.parametrize(
    "files", [[[0, 1, 2, 3]], [[0], [1, 2, 3]], [[1], [0, 2], [3]], [[3], [2], [1], [0]]]
)
def test_definitions_may_stand_in_any_file(files: list[list[int]], tmp_path: Path, store: Store) -> None:
    pages = [ARTICLE, ZAHL, KURZ, KLEIN]
    urls = [dump(tmp_path, str(n), *(pages[i] for i in some)) for n, some in enumerate(files)]
    artifact = ingest_source(store, "wiki", source_of(*urls))
    assert texts(artifact)[0].startswith(SAYS)
    assert is_conserved(artifact.counts) and artifact.counts["raw"] == 4
    assert artifact.counts["non_content.namespace_10"] == 3
    assert (artifact.counts["templates.expanded"], artifact.counts["templates.undefined"]) == (2, 1)
    assert [shard.name for shard in artifact.shards] == sorted(shard.name for shard in artifact.shards)
    assert len(artifact.shards) == len(urls)


def test_the_present_day_is_that_of_the_revision(tmp_path: Path, store: Store) -> None:
    article = page(1, "A", f"Er ist {{{{Alter|1950}}}} Jahre alt. {PROSE}")
    age = page(2, "Vorlage:Alter", "{{#expr:{{CURRENTYEAR}}-{{{1}}}}}", ns=10)
    found = documents_of(ingest_source(store, "wiki", source_of(dump(tmp_path, "1", article, age))))
    assert [
        document.text.startswith(f"Er ist {int(document.date[:4]) - 1950} Jahre") for document in found
    ] == [True]


def test_a_language_does_not_see_the_templates_of_another(tmp_path: Path, store: Store) -> None:
    french = page(1, "B", f"Il y a {{{{Zahl|12345}}}} {{{{petit|y}}}}. {PROSE}")
    small = page(2, "Modèle:Petit", "<small>{{{1}}} {{formatnum:1000}}</small>", ns=10)
    urls = [
        dump(tmp_path, "1", ARTICLE, ZAHL, KURZ, KLEIN),
        dump(tmp_path, "1", french, small, language="fr"),
    ]
    found = texts(ingest_source(store, "wiki", source_of(*urls)))
    assert found[0].startswith(SAYS) and found[1].startswith("Il y a y 1 000. ")


def test_a_step_that_was_stopped_between_the_phases_gives_the_same(tmp_path: Path, store: Store) -> None:
    source = source_of(dump(tmp_path, "1", ARTICLE, KURZ), dump(tmp_path, "2", ZAHL, KLEIN))
    whole = ingest_source(Store(str(tmp_path / "other")), "wiki", source)
    raws = ingest.raw_files("wiki", source)

    class Stopped(Exception):
        pass

    def stop_in(phase_name: str, after: int) -> None:
        def engine(phase: Phase, todo: list[str]) -> list[str]:
            for name in todo[: after if phase.name == phase_name else None]:
                phase.work(phase.shards[name])
            if phase.name == phase_name:
                raise Stopped
            return todo

        step = step_of(store, source)
        with pytest.raises(Stopped):
            execute(step, ingest.plan(step, "wiki", source, raws), engine)

    for phase, after in (("first reading", 0), ("first reading", 1), ("shards", 0), ("shards", 1)):
        stop_in(phase, after)
    again = ingest_source(store, "wiki", source)
    assert (again.id, again.digest) == (whole.id, whole.digest)
    assert texts(again) == texts(whole)
    assert not [name for name in step_of(store, source).folder.list() if "collected.parquet" in name]


def test_a_dump_of_articles_alone_reads_as_without_the_first_phase(tmp_path: Path, store: Store) -> None:
    artifact = ingest_source(store, "wiki", source_of(dump(tmp_path, "1", ARTICLE)))
    assert texts(artifact)[0].startswith("Es sind Häuser.")
    assert artifact.counts["templates.undefined"] == 3


def test_a_dump_of_a_language_that_is_not_wanted_is_refused_in_the_first_phase(
    tmp_path: Path, store: Store
) -> None:
    with pytest.raises(InputError, match="is a dump of fi"):
        ingest_source(store, "wiki", source_of(dump(tmp_path, "1", ARTICLE, language="fi")))
    assert not store.list()


def test_broken_pages_of_templates_are_counted_once(tmp_path: Path, store: Store) -> None:
    broken = ZAHL.replace("</text>", "")
    artifact = ingest_source(store, "wiki", source_of(dump(tmp_path, "1", ARTICLE, broken, KLEIN)))
    assert is_conserved(artifact.counts) and artifact.counts["raw"] == 3
    assert artifact.counts["quarantined.not_xml"] == 1


def test_templates_of_dumps_before_2012_are_known_by_their_titles(tmp_path: Path, store: Store) -> None:
    data = wiki(ARTICLE, ZAHL, KURZ, KLEIN, namespaces={10: "Vorlage"}).decode()
    for tag in ("<ns>0</ns>", "<ns>10</ns>", '<redirect title="Vorlage:Klein" />'):
        data = data.replace(tag, "")
    path = tmp_path / "dewiki.xml"
    path.write_text(data)
    assert texts(ingest_source(store, "wiki", source_of(str(path))))[0].startswith(SAYS)


def test_a_file_may_have_the_name_of_anothers_first_reading(tmp_path: Path, store: Store) -> None:
    first = Path(dump(tmp_path, "", ZAHL, KURZ, KLEIN))
    second = Path(dump(tmp_path, "2", ARTICLE))
    named = second.rename(tmp_path / f"{ingest.COLLECTED}{first.name}")
    artifact = ingest_source(store, "wiki", source_of(str(first), str(named)))
    assert texts(artifact)[0].startswith(SAYS) and len(artifact.shards) == 2
    shards = {raw.name for raw in ingest.raw_files("wiki", source_of(str(first), str(named)))}
    assert not any(name.startswith(ingest.COLLECTED) for name in shards)
