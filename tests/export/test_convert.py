"""A model goes from each format to each other one, and nothing of it changes."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import programs
import pytest
import released
import torch
from safetensors.torch import load_file
from trained import Trained
from transformers import LlamaConfig, LlamaForCausalLM

from llama_core.errors import InputError
from llama_core.export.convert import convert
from llama_core.model.llama import Llama
from llama_core.recipes.training import Model
from llama_core.store import Store
from llama_core.weights.open import open_weights

ROOT = Path(__file__).parents[2]
SIZES = {"dim": 64, "multiple_of": 32, "n_heads": 8, "n_layers": 2, "norm_eps": 1e-5}
TOKENS = torch.tensor([[1, 40, 300, 7, 12]])


def to(source: object, target: object, kind: str, **options: object) -> str:
    told: list[tuple[str, int, int]] = []
    made = convert(str(source), str(target), kind, lambda *row: told.append(row), **options)  # type: ignore[arg-type]
    assert told and all(0 < done <= total for _, done, total in told)
    return made


@pytest.fixture(scope="module")
def model() -> Llama:
    torch.manual_seed(2)
    model = Llama(Model(**SIZES), 512)
    for parameter in model.parameters():
        parameter.data = (0.2 * torch.randn_like(parameter)).half().float()
    return model


@pytest.fixture
def folder(model: Llama, trained: Trained, tmp_path: Path) -> Path:
    """What somebody else has written in Meta's format, in two files."""
    state = {name: tensor.half() for name, tensor in model.state_dict().items()}
    params = SIZES | {"vocab_size": -1}
    return released.write(tmp_path / "theirs", state, params, 2, trained.tokenizer.model)


@pytest.mark.parametrize("shards", [1, 2, 4, 8])
def test_meta_to_ours_to_hugging_face_to_ours_to_meta_changes_no_bit(
    model: Llama, folder: Path, tmp_path: Path, shards: int
) -> None:
    ours = to(folder, tmp_path / "store", "step")
    theirs = to(ours, tmp_path / "hf", "huggingface")
    again = to(theirs, tmp_path / "store", "step")
    assert ours != again
    last = to(again, tmp_path / "meta", "meta", shards=shards)
    assert last == Store(str(tmp_path / "meta")).url
    for url in (ours, theirs, again, last):
        weights = open_weights(url)
        for name, parameter in model.named_parameters():
            assert torch.equal(weights.read(name).float(), parameter), (url, name)
    assert open_weights(theirs).dtype == open_weights(last).dtype == torch.float16


@pytest.mark.parametrize("shards", [1, 2, 4, 8])
def test_the_released_program_can_load_what_we_write(
    model: Llama, folder: Path, trained: Trained, tmp_path: Path, shards: int
) -> None:
    to(folder, tmp_path / "out" / "7B", "meta", shards=shards, dtype="fp32")
    out = tmp_path / "out" / "7B"
    params, states = released.read(out, trained.tokenizer.n_words)
    assert len(states) == shards
    assert {k: v for k, v in params.items() if k != "vocab_size"} == SIZES
    found = released.merged(states)
    assert found.keys() == model.state_dict().keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in model.state_dict().items())
    for state in states:
        assert {tensor.dtype for tensor in state.values()} == {torch.float32}
        assert all(tensor.is_contiguous() and not tensor.storage_offset() for tensor in state.values())
    assert (out / "tokenizer.model").read_bytes() == trained.tokenizer.model
    for name in ("checklist.chk", "tokenizer_checklist.chk"):
        subprocess.run(["md5sum", "--quiet", "-c", name], cwd=out, check=True)


def test_torch_maps_the_files_into_memory_at_aligned_places(folder: Path, tmp_path: Path) -> None:
    to(folder, tmp_path / "out", "meta", shards=2)
    for path in sorted((tmp_path / "out").glob("*.pth")):
        mapped = torch.load(path, weights_only=True, mmap=True)
        whole = torch.load(path, weights_only=True)
        assert all(torch.equal(mapped[name], whole[name]) for name in whole)
        assert all(tensor.data_ptr() % 64 == 0 for tensor in mapped.values())


def test_hugging_faces_own_folder_becomes_a_step_and_metas_format(trained: Trained, tmp_path: Path) -> None:
    torch.manual_seed(3)
    sizes = {"hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 8}
    theirs = LlamaForCausalLM(LlamaConfig(vocab_size=512, initializer_range=0.2, rms_norm_eps=1e-5, **sizes))
    theirs.save_pretrained(tmp_path / "hf", max_shard_size="100KB")
    assert len(list((tmp_path / "hf").glob("*.safetensors"))) > 2
    (tmp_path / "hf" / "tokenizer.model").write_bytes(trained.tokenizer.model)
    step = to(tmp_path / "hf", tmp_path / "store", "step")
    to(step, tmp_path / "meta", "meta", shards=4, dtype="fp32")
    to(tmp_path / "meta", tmp_path / "back", "huggingface")
    back = LlamaForCausalLM.from_pretrained(tmp_path / "back", dtype="auto")
    assert all(torch.equal(back.state_dict()[n], p) for n, p in theirs.state_dict().items())
    with torch.no_grad():
        assert (back(TOKENS).logits - theirs(TOKENS).logits).abs().max() < 1e-5


def test_every_type_that_is_asked_for_is_written(folder: Path, tmp_path: Path) -> None:
    for name, dtype in {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}.items():
        to(folder, tmp_path / name, "huggingface", dtype=name)
        assert {t.dtype for t in load_file(tmp_path / name / "model.safetensors").values()} == {dtype}
        assert json.loads((tmp_path / name / "config.json").read_text())["dtype"] in str(dtype)
        meta = tmp_path / f"meta-{name}"
        to(tmp_path / name, meta, "meta", dtype=name)
        assert {t.dtype for t in torch.load(meta / "consolidated.00.pth").values()} == {dtype}


def test_an_import_is_known_by_what_its_files_hold_and_says_where_they_were(
    folder: Path, tmp_path: Path
) -> None:
    first = to(folder, tmp_path / "store", "step")
    manifest = Store(first).read_json("manifest.json")
    told = manifest["identity"]["imported"]
    assert told["url"] == Store(str(folder)).url
    assert told["files"].keys() == {
        "params.json",
        "tokenizer.model",
        "consolidated.00.pth",
        "consolidated.01.pth",
    }
    assert "url" not in manifest["address"]["imported"]
    moved = folder.rename(tmp_path / "moved")
    assert convert(str(moved), str(tmp_path / "store"), "step", lambda *_: pytest.fail("made again")) == first


def test_nothing_is_written_over_and_nothing_is_left_by_what_fails(
    model: Llama, folder: Path, trained: Trained, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    to(folder, out, "meta")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    for kind in ("meta", "huggingface"):
        with pytest.raises(InputError, match="nothing is written over"):
            convert(str(folder), str(out), kind, lambda *_: None)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    large = {name: tensor * 1e6 for name, tensor in model.state_dict().items()}
    params = SIZES | {"vocab_size": -1}
    released.write(tmp_path / "large", large, params, 1, trained.tokenizer.model)
    with pytest.raises(InputError, match="that fp16 cannot hold: choose bf16 or fp32"):
        convert(str(tmp_path / "large"), str(tmp_path / "none"), "meta", lambda *_: None)
    assert not list((tmp_path / "none").iterdir())
    for shards, text in (
        (3, "1, 2, 4, 8 divide its 8 heads, 192 hidden units and 512 pieces"),
        (0, "0 shards"),
    ):
        with pytest.raises(InputError, match=text):
            convert(str(folder), str(tmp_path / "none"), "meta", lambda *_: None, shards=shards)
    with pytest.raises(InputError, match="is of Meta's format"):
        convert(str(folder), str(tmp_path / "none"), "huggingface", lambda *_: None, shards=2)


def test_what_metas_settings_cannot_say_is_refused(model: Llama, trained: Trained, tmp_path: Path) -> None:
    params = SIZES | {"vocab_size": -1, "rope_theta": 5e5}
    released.write(tmp_path / "long", model.state_dict(), params, 1, trained.tokenizer.model)
    with pytest.raises(InputError, match="rope_theta 500000, and Meta's code knows 10000 alone"):
        convert(str(tmp_path / "long"), str(tmp_path / "out"), "meta", lambda *_: None)
    assert to(tmp_path / "long", tmp_path / "hf", "huggingface")
    assert open_weights(str(tmp_path / "hf")).model.rope_theta == 5e5


def test_a_damaged_source_is_found_before_it_is_written_on(folder: Path, tmp_path: Path) -> None:
    path = folder / "consolidated.01.pth"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    done = programs.run("-m", "llama_core.export", str(folder), str(tmp_path / "out"), "--format", "meta")
    assert done.returncode == 2
    assert done.stdout.startswith("error: ") and done.stdout.count("\n") == 1
    assert "consolidated.01.pth is damaged: its md5 is not that of checklist.chk" in done.stdout
    assert not (tmp_path / "out").exists()


def test_the_command_writes_a_trained_model_in_metas_format(trained: Trained, tmp_path: Path) -> None:
    train = trained.inputs["train"].url
    done = programs.run("-m", "llama_core.export", train, str(tmp_path / "7B"), "--format", "meta")
    assert done.returncode == 0, done.stdout
    *progress, last = done.stdout.splitlines()
    assert last == Store(str(tmp_path / "7B")).url
    assert progress and all(line.startswith("consolidated.00.pth: ") for line in progress)
    _, states = released.read(tmp_path / "7B", 512)
    assert all(torch.equal(p.half(), states[0][n]) for n, p in trained.model().named_parameters())
    for arguments in (("--format", "gguf"), (), ("--format", "meta", "--dtype", "int8")):
        done = programs.run("-m", "llama_core.export", train, str(tmp_path / "x"), *arguments)
        assert done.returncode == 2 and done.stdout.count("\n") == 1
    done = programs.run("-m", "llama_core.export", train, "memory://x", "--format", "meta")
    assert done.returncode == 2 and "ends with this command" in done.stdout


def test_a_command_that_is_asked_to_end_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):  # it is full: the first line of progress waits
        while True:
            os.write(writing, b"." * 4096)
    os.set_blocking(writing, True)
    out = tmp_path / "out"
    line = [sys.executable, "-m", "llama_core.export", str(folder), str(out), "--format", "huggingface"]
    with subprocess.Popen(line, cwd=ROOT, env=programs.environment(), stderr=writing) as process:
        deadline = time.monotonic() + 60
        while not (out.exists() and any(out.iterdir())):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        process.terminate()
        assert process.wait(30) == 143
    os.close(reading)
    os.close(writing)
    assert list(out.iterdir()) == []


@pytest.fixture(params=["memory", "s3"])
def root(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a store that is no disk of this machine."""
    if request.param == "memory":
        yield "memory://formats"
        return
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    _, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testaccess")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testsecretkey")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    store = Store("s3://formats/prefix")
    store.fs.mkdir("formats")
    yield store.url
    server.stop()


def test_both_ends_may_be_on_any_store(folder: Path, root: str) -> None:
    store = Store(root)
    for path in folder.iterdir():
        store.publish_bytes(f"meta/{path.name}", path.read_bytes())
    to(f"{root}/meta", f"{root}/hf", "huggingface")
    step = to(f"{root}/hf", f"{root}/store", "step")
    to(step, f"{root}/last", "meta", shards=2)
    first, last = open_weights(f"{root}/meta"), open_weights(f"{root}/last")
    assert all(torch.equal(first.read(name), last.read(name)) for name in first.names)
    with pytest.raises(InputError, match="nothing is written over"):
        convert(step, f"{root}/last", "huggingface", lambda *_: None)
