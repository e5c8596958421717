"""A folder of Meta's format is read whoever has written it, and what is wrong with it is said."""

import copy
import json
import logging
import os
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
import released
import torch
from trained import Trained

from llama_core.errors import DamagedError, InputError
from llama_core.generate.load import load
from llama_core.model.llama import Llama
from llama_core.store import Store
from llama_core.weights.open import open_weights

PARAMS = {"dim": 64, "multiple_of": 32, "n_heads": 8, "n_layers": 2, "norm_eps": 1e-6, "vocab_size": -1}


@pytest.fixture(scope="module")
def model(trained: Trained) -> Llama:
    """A model that divides by 8, with weights that fp16 holds."""
    from llama_core.recipes.training import Model

    torch.manual_seed(1)
    model = Llama(Model(**{k: v for k, v in PARAMS.items() if k != "vocab_size"}), trained.tokenizer.n_words)
    for parameter in model.parameters():
        parameter.data = (0.2 * torch.randn_like(parameter)).half()
    return model


@pytest.fixture
def folder(model: Llama, trained: Trained, tmp_path: Path) -> Path:
    """A folder of two files."""
    return released.write(tmp_path / "7B", model.state_dict(), PARAMS, 2, trained.tokenizer.model)


@pytest.mark.parametrize("shards", [1, 2, 4, 8])
def test_an_independent_writers_files_are_read_whole_and_in_parts(
    model: Llama, trained: Trained, tmp_path: Path, shards: int
) -> None:
    folder = released.write(tmp_path / "7B", model.state_dict(), PARAMS, shards)
    (tmp_path / "tokenizer.model").write_bytes(trained.tokenizer.model)
    weights = open_weights(str(folder))
    weights.check()
    assert (weights.dtype, weights.seq_len) == (torch.float16, 2048)
    for name, parameter in model.named_parameters():
        assert torch.equal(weights.read(name), parameter), name
        for dim, size in enumerate(parameter.shape):
            for start, stop in ((0, size // 4), (size // 3, size - 1), (size, size)):
                part = weights.read(name, (dim, start, stop))
                assert torch.equal(part, parameter.narrow(dim, start, stop - start)), (name, dim)
    tokens = torch.tensor([[1, 40, 300, 7]])
    with torch.no_grad():
        expected = copy.deepcopy(model).float()(tokens)  # as a CPU computes float16
        assert torch.equal(load(str(folder)).model(tokens), expected)


def test_it_is_read_on_a_store_that_is_no_disk(model: Llama, folder: Path) -> None:
    store = Store("memory://meta")
    for path in folder.iterdir():
        store.publish_bytes(f"7B/{path.name}", path.read_bytes())
    weights = open_weights("memory://meta/7B")
    weights.check()
    assert all(torch.equal(weights.read(n), p) for n, p in model.named_parameters())


def test_views_parameters_other_protocols_and_other_ropes_are_read(
    model: Llama, trained: Trained, tmp_path: Path
) -> None:
    folder = released.write(tmp_path / "7B", model.state_dict(), PARAMS, 1, trained.tokenizer.model)
    (folder / "checklist.chk").unlink()
    name = "layers.1.attention.inner_attention.rope.freqs"
    wide = torch.nn.Linear(96, 512, bias=False).half()
    wide.weight.data[:, 16:80] = model.output.weight.data
    state = dict(model.state_dict()) | {name: torch.rand(4, dtype=torch.complex64)}
    state["output.weight"] = wide.weight[:, 16:80]  # saved with the whole storage behind it
    state["norm.weight"] = torch.nn.Parameter(state["norm.weight"])
    for protocol in (2, 3, 4):
        torch.save(state, folder / "consolidated.00.pth", pickle_protocol=protocol)
        weights = open_weights(str(folder))
        assert all(torch.equal(weights.read(n), p) for n, p in model.named_parameters())
    torch.save(model.state_dict(), folder / "consolidated.00.pth")  # an OrderedDict with metadata
    assert open_weights(str(folder)).names == [name for name, _ in model.named_parameters()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_types_are_read(model: Llama, trained: Trained, tmp_path: Path, dtype: torch.dtype) -> None:
    state = {name: tensor.to(dtype) for name, tensor in model.state_dict().items()}
    weights = open_weights(str(released.write(tmp_path / "m", state, PARAMS, 2, trained.tokenizer.model)))
    assert weights.dtype == dtype
    assert all(torch.equal(weights.read(name), tensor) for name, tensor in state.items())


def test_stray_files_and_keys_are_told_and_left(
    model: Llama, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "optimizer.pth").write_bytes(b"something else")
    (folder / "checklist.chk").unlink()
    (folder / "params.json").write_text(json.dumps(PARAMS | {"max_seq_len": 512, "vocab_size": 512}))
    with caplog.at_level(logging.WARNING):
        weights = open_weights(str(folder))
    assert torch.equal(weights.read("output.weight"), model.output.weight)
    assert "optimizer.pth" in caplog.text and "max_seq_len" in caplog.text


def test_tensors_that_the_released_code_leaves_out_are_told_and_left_but_not_those_of_a_block(
    model: Llama, trained: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state: dict[str, Any] = model.state_dict()
    more = {"freqs_cis": torch.zeros(3, dtype=torch.complex64), "step": torch.tensor(3)}
    folder = released.write(tmp_path / "7B", state | more, PARAMS, 1, trained.tokenizer.model)
    with caplog.at_level(logging.WARNING):
        weights = open_weights(str(folder))
    assert all(torch.equal(weights.read(name), p) for name, p in model.named_parameters())
    assert [r.getMessage().partition(" holds ")[2] for r in caplog.records] == [
        "freqs_cis, step, which is no part of a LLaMA: it is left"
    ]
    for name in ("layers.2.attention.wq.weight", "layers.0.attention.wq.bias", "layers.0.attention.lora"):
        other = released.write(tmp_path / name, state | {name: torch.zeros(2)}, PARAMS, 1)
        (tmp_path / "tokenizer.model").write_bytes(trained.tokenizer.model)
        with pytest.raises(InputError, match=f"holds {name}, which is no part of the LLaMA of params"):
            open_weights(str(other))


def test_missing_keys_have_the_released_codes_defaults_and_a_rotation_is_not_ignored(folder: Path) -> None:
    (folder / "checklist.chk").unlink()
    few = {k: v for k, v in PARAMS.items() if k not in ("norm_eps", "n_heads", "vocab_size")}
    (folder / "params.json").write_text(json.dumps(few | {"rope_theta": 1e6}))
    model = open_weights(str(folder)).model
    assert (model.norm_eps, model.n_heads, model.rope_theta) == (1e-5, 8, 1e6)


def test_the_tokenizer_may_lie_anywhere_if_it_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "tokenizer.model").rename(tmp_path / "words.model")
    with pytest.raises(InputError, match=r"there is no tokenizer\.model at .*/7B or "):
        open_weights(str(folder))
    assert open_weights(str(folder), str(tmp_path / "words.model")).vocab_size == 512
    with pytest.raises(InputError, match=r"there is no tokenizer at .*/other\.model$"):
        open_weights(str(folder), str(tmp_path / "other.model"))


def params(**changes: Any) -> Any:
    def spoil(folder: Path) -> None:
        (folder / "params.json").write_text(json.dumps(PARAMS | changes))

    return spoil


def state(change: Any) -> Any:
    def spoil(folder: Path) -> None:
        found = torch.load(folder / "consolidated.01.pth", weights_only=True)
        change(found)
        torch.save(found, folder / "consolidated.01.pth")

    return spoil


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch /tmp/llama-was-run",)


def swap(name: str, old: bytes, new: bytes) -> Any:
    def spoil(folder: Path) -> None:
        data = (folder / name).read_bytes()
        assert old in data
        (folder / name).write_bytes(data.replace(old, new))

    return spoil


def cut(folder: Path) -> None:
    data = (folder / "consolidated.01.pth").read_bytes()
    (folder / "consolidated.01.pth").write_bytes(data[: len(data) // 2])


def legacy(folder: Path) -> None:
    torch.save({"a": torch.ones(2)}, folder / "consolidated.01.pth", _use_new_zipfile_serialization=False)


def lost(folder: Path) -> None:
    (folder / "consolidated.01.pth").unlink()


def renumbered(folder: Path) -> None:
    (folder / "consolidated.01.pth").rename(folder / "consolidated.02.pth")


def compressed(folder: Path) -> None:
    path = folder / "consolidated.01.pth"
    with zipfile.ZipFile(path) as old:
        members = {info: old.read(info) for info in old.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for info, data in members.items():
            new.writestr(info.filename, data)


def pickled(data: bytes) -> Any:
    """A file whose list of tensors is this pickle."""

    def spoil(folder: Path) -> None:
        with zipfile.ZipFile(folder / "consolidated.01.pth", "w") as file:
            file.writestr("archive/data.pkl", data)

    return spoil


# A tuple of two, which hold two each, and so on: to print it would take 2 ** 60 characters.
DEEP = b"\x80\x02" + b"K\x01" + b"".join(b"q\x00h\x00\x86" for _ in range(60))
WRONG = {
    "grouped heads": (params(n_kv_heads=2), "grouped heads"),
    "wider": (params(ffn_dim_multiplier=1.3), "a wider feed-forward layer"),
    "scaled rope": (params(use_scaled_rope=True), "scaled rotation"),
    "more layers": (params(n_layers=3), "lacks the weights layers.2"),
    "fewer layers": (params(n_layers=1), "layers.1.* no part of"),
    "another width": (params(dim=128), "has the shape"),
    "huge": (params(dim=1 << 40), "params.json is damaged: dim"),
    "layers without end": (params(n_layers=10**9), "params.json is damaged: n_layers"),
    "negative": (params(n_heads=-1), "params.json is damaged: n_heads"),
    "odd heads": (params(n_heads=7), "is no LLaMA"),
    "text": (params(dim="64"), "params.json is damaged: dim"),
    "other words": (params(vocab_size=32000), "is for 32,000 ids"),
    "no json": (lambda f: (f / "params.json").write_text("{"), "params.json is damaged"),
    "a code": (state(lambda s: s.update(norm=Evil())), "it calls (posix|nt) system"),
    "a tensor of a block": (state(lambda s: s.update({"layers.0.x": torch.ones(2)})), "which is no part"),
    "a tensor less": (state(lambda s: s.pop("norm.weight")), "lacks the weights norm.weight"),
    "no tensor": (state(lambda s: s.update({"norm.weight": 3})), "norm.weight as int"),
    "integers": (state(lambda s: s.update({"norm.weight": torch.ones(64).int()})), "as IntStorage"),
    "a tuple that doubles, as a storage": (pickled(DEEP + b"NNNNt(NNNNNtQ."), "dictionary of tensors"),
    "a tuple that doubles, in its kind": (pickled(b"(" + DEEP[2:] + b"NNNNtQ."), "no storage"),
    "a tuple that doubles, as a name": (pickled(DEEP + b"\x8c\x01a\x93."), "no name"),
    "a tuple that doubles, as a key": (pickled(b"}" + DEEP[2:] + b"Ns."), "no key"),
    "a tuple that doubles, as a call": (pickled(DEEP + b")R."), "it calls tuple"),
    "a tuple that doubles": (pickled(DEEP + b"."), "it holds tuple"),
    "many objects": (pickled(b"}" * (1 << 25) + b"."), "too large"),
    "a number without end": (pickled(b"\x8b" + b"\xff\xff\xff\x7f" + b"."), "dictionary of tensors"),
    "a text without end": (pickled(b"X\xff\xff\xff\x7f."), "dictionary of tensors"),
    "a dimension of nothing": (
        pickled(
            b"}X\x0b\x00\x00\x00norm.weightctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storage"
            b"ctorch\nHalfStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK@tQK\x00)K\x01\x85\x89}tRs."
        ),
        "something else than a storage",
    ),
    "nested": (lambda f: torch.save({"model": {}}, f / "consolidated.01.pth"), "lacks the weights"),
    "a list": (lambda f: torch.save([torch.ones(2)], f / "consolidated.01.pth"), "it holds list"),
    "transposed": (
        state(lambda s: s.update({"output.weight": s["output.weight"].T.contiguous().T})),
        "save it contiguous",
    ),
    "cut": (cut, "cut short"),
    "legacy": (legacy, "before torch 1.6"),
    "empty": (lambda f: (f / "consolidated.01.pth").write_bytes(b""), "no file of torch"),
    "noise": (lambda f: (f / "consolidated.01.pth").write_bytes(os.urandom(5000)), "no file of torch"),
    "compressed": (compressed, "is compressed"),
    "one of two": (lost, "is a file missing"),
    "a gap": (renumbered, r"lacks consolidated\.01\.pth"),
    "a shorter storage": (swap("consolidated.01.pth", b"K@K ", b"K@K\xff"), "has the shape|is damaged"),
    "checklist": (lambda f: (f / "checklist.chk").write_text("what?\n"), "no line of md5sum's"),
    "checklist up": (
        lambda f: (f / "checklist.chk").write_text(f"{'0' * 32}  ../x\n"),
        "no line of md5sum's",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_in_one_line(folder: Path, name: str) -> None:
    spoil, expected = WRONG[name]
    (folder / "checklist.chk").unlink()
    spoil(folder)
    started = time.monotonic()
    with pytest.raises((InputError, DamagedError), match=expected) as caught:
        weights = open_weights(str(folder))
        weights.check()
        for tensor in weights.names:
            weights.read(tensor)
    assert time.monotonic() - started < 10
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000
    assert not Path("/tmp/llama-was-run").exists()


def test_the_checklist_finds_a_lost_and_a_changed_file(folder: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(folder, whole)
    swap("consolidated.01.pth", b"ZZZZ", b"ZYZZ")(folder)
    weights = open_weights(str(folder))
    weights.check(0, 2)
    with pytest.raises(DamagedError, match=r"consolidated\.01\.pth is damaged: its md5"):
        weights.check(1, 2)
    (whole / "consolidated.01.pth").unlink()
    with pytest.raises(DamagedError, match=r"lacks consolidated\.01\.pth"):
        open_weights(str(whole))
    params(norm_eps=1e-5)(whole)
    with pytest.raises(DamagedError, match=r"params\.json is damaged: its md5"):
        open_weights(str(whole))
