"""A model folder may hold anything: loading it is the project's error, in little time and memory."""

import json
import os
import re
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import programs
import pytest
import torch
from safetensors.torch import save
from sentencepiece.sentencepiece_model_pb2 import ModelProto
from trained import Trained

from llama_core.export import huggingface_folder
from llama_core.recipes.training import Model
from llama_core.weights import names
from llama_core.weights.weights import Sizes

SIZES = {"dim": 32, "n_layers": 2, "n_heads": 2, "multiple_of": 8}
LIMIT = 500 * 10**6
SECONDS = 10
TERABYTE = 1 << 40

Spoil = Callable[[Path], None]

# Loads each folder of argv[1], and prints how it ended, in how much time and memory.
PROGRAM = """
import json, signal, sys, time
from pathlib import Path
from llama_core.errors import LlamaError
from llama_core.generate.load import load

def hung(*_):
    raise KeyboardInterrupt

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

root, limit = Path(sys.argv[1]), int(sys.argv[2])
signal.signal(signal.SIGALRM, hung)
load(str(root / "whole"))
for folder in sorted(root.iterdir()):
    Path("/proc/self/clear_refs").write_text("5")
    before, since = peak(), time.perf_counter()
    signal.alarm(2 * limit)
    try:
        load(str(folder))
        kind, message = "loaded", ""
    except LlamaError as error:
        kind, message = "ours", str(error)
    except BaseException as error:
        kind, message = "bare", repr(error)[:500]
    signal.alarm(0)
    row = [folder.name, kind, message, time.perf_counter() - since, peak() - before]
    print("@", json.dumps(row), flush=True)
"""


def config(**changes: Any) -> Spoil:
    def spoil(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return spoil


def without(key: str) -> Spoil:
    def spoil(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != key}))

    return spoil


def content(name: str, data: bytes) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).write_bytes(data)

    return spoil


def instead(name: str, make: Callable[[str], Any]) -> Spoil:
    """Something else of the same name."""

    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        make(str(folder / name))

    return spoil


def resized(by: int) -> Spoil:
    def spoil(folder: Path) -> None:
        path = folder / "model.safetensors"
        os.truncate(path, path.stat().st_size + by)

    return spoil


def swap(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))


def sparse(path: str) -> None:
    with open(path, "wb") as file:
        file.truncate(TERABYTE)


def a_socket(path: str) -> None:
    here = os.getcwd()
    os.chdir(os.path.dirname(path))  # a socket's path may not be long
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.basename(path))
    os.chdir(here)


def link_to(target: str) -> Callable[[str], None]:
    return lambda path: os.symlink(target, path)


def header(change: Callable[[dict[str, Any]], Any], keep: int | None = None) -> Spoil:
    """Another header before the same tensors."""

    def spoil(folder: Path) -> None:
        path = folder / "model.safetensors"
        data = path.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        value = json.loads(data[8 : 8 + length])
        changed = change(value)
        text = changed if isinstance(changed, bytes) else json.dumps(changed or value).encode()
        path.write_bytes(struct.pack("<Q", keep or len(text)) + text + data[8 + length :])

    return spoil


def tensor(**changes: Any) -> Spoil:
    return header(lambda value: value["model.norm.weight"].update(changes))


def claims_a_terabyte(folder: Path) -> None:
    """A header and a configuration that agree with each other, and a file of the size that they say."""
    dim, heads = 1 << 17, 1 << 10
    cfg = Model(dim=dim, n_layers=1, n_heads=heads, multiple_of=16)
    sizes = {"hidden_size": dim, "intermediate_size": cfg.ffn_dim, "num_hidden_layers": 1}
    config(**sizes, num_attention_heads=heads, num_key_value_heads=heads, head_dim=dim // heads)(folder)
    shapes = {names.to_huggingface(n): s for n, s in names.shapes(cfg, 512).items()}
    value, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 4 * torch.Size(shape).numel()
        value[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(value).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


def index(weight_map: Any) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "model-1.safetensors")
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))

    return spoil


def in_two_files(folder: Path) -> None:
    index({"lm_head.weight": "model-1.safetensors", "model.norm.weight": "model-2.safetensors"})(folder)
    (folder / "model-2.safetensors").write_bytes((folder / "model-1.safetensors").read_bytes())


def pieces(change: Callable[[Any], Any]) -> Spoil:
    def spoil(folder: Path) -> None:
        path = folder / "tokenizer.model"
        model = ModelProto.FromString(path.read_bytes())
        change(model)
        path.write_bytes(model.SerializeToString())

    return spoil


def tensors(change: Callable[[dict[str, torch.Tensor]], Any]) -> Spoil:
    def spoil(folder: Path) -> None:
        from safetensors.torch import load_file

        found = load_file(folder / "model.safetensors")
        change(found)
        (folder / "model.safetensors").write_bytes(save(found))

    return spoil


CONFIG, WEIGHTS, WORDS = "config.json", "model.safetensors", "tokenizer.model"

# What is done to a folder, and what the message tells.
CASES: dict[str, tuple[Spoil, str]] = {
    "config empty": (content(CONFIG, b""), "config.json is damaged"),
    "config no json": (content(CONFIG, b"<html>"), "config.json is damaged"),
    "config cut": (content(CONFIG, b'{"model_type": "llama", "hidden_'), "config.json is damaged"),
    "config utf-16": (content(CONFIG, '{"a": 1}'.encode("utf-16")), "config.json is damaged"),
    "config bom": (content(CONFIG, b'\xef\xbb\xbf{"model_type": "llama"}'), "config.json is damaged"),
    "config deep": (content(CONFIG, b'{"a":' * 3000 + b"1" + b"}" * 3000), "config.json .* deep"),
    "config deep lists": (content(CONFIG, b"[" * 100_000), "config.json .* deep"),
    "config many values": (content(CONFIG, b"[" + b"[]," * 5_000_000 + b"1]"), "config.json .* values"),
    "config long": (content(CONFIG, b" " * (40 << 20) + b"{}"), "config.json .*bytes"),
    "config twice": (content(CONFIG, b'{"model_type": "llama", "model_type": "x"}'), "'model_type' is there"),
    "config nan": (config(rms_norm_eps=float("nan")), "config.json is damaged"),
    "config infinite": (content(CONFIG, b'{"rms_norm_eps": 1e999}'), "config.json is damaged"),
    "config digits": (content(CONFIG, b'{"hidden_size": ' + b"9" * 10_000 + b"}"), "config.json is damaged"),
    "config list": (content(CONFIG, b"[1, 2]"), "config.json is damaged"),
    "config text": (content(CONFIG, b'"llama"'), "config.json is damaged"),
    "config null": (content(CONFIG, b"null"), "config.json is damaged"),
    "no type": (without("model_type"), "not a LLaMA"),
    "another type": (config(model_type=["llama"]), "not a LLaMA"),
    "no size": (without("hidden_size"), "config.json is damaged: hidden_size"),
    "no layers": (config(num_hidden_layers=0), "num_hidden_layers"),
    "layers without end": (config(num_hidden_layers=10**9), "num_hidden_layers"),
    "a few layers more": (config(num_hidden_layers=1000), "lacks the weights"),
    "size negative": (config(hidden_size=-32), "hidden_size"),
    "size text": (config(hidden_size="32"), "hidden_size"),
    "size true": (config(num_hidden_layers=True), "num_hidden_layers"),
    "size float": (config(hidden_size=32.0), "hidden_size"),
    "size null": (config(hidden_size=None), "hidden_size"),
    "size huge": (config(hidden_size=10**30), "hidden_size"),
    "size large": (config(hidden_size=1 << 18, intermediate_size=699056, head_dim=None), "shape"),
    "heads none": (config(num_attention_heads=0, num_key_value_heads=0), "num_attention_heads"),
    "heads odd": (config(num_attention_heads=3, num_key_value_heads=3, head_dim=None), "n_heads"),
    "heads negative": (config(num_attention_heads=-2, num_key_value_heads=-2), "num_attention_heads"),
    "ffn other": (config(intermediate_size=64), "intermediate_size"),
    "ffn none": (config(intermediate_size=0), "intermediate_size"),
    "words many": (config(vocab_size=1 << 23), "ids"),
    "words huge": (config(vocab_size=1 << 60), "vocab_size"),
    "words few": (config(vocab_size=8), "ids"),
    "context huge": (config(max_position_embeddings=10**18), "max_position_embeddings"),
    "context none": (config(max_position_embeddings=0), "max_position_embeddings"),
    "eps negative": (config(rms_norm_eps=-1e-6), "rms_norm_eps"),
    "eps text": (config(rms_norm_eps="1e-6"), "rms_norm_eps"),
    "theta none": (config(rope_theta=0, rope_parameters=None), "rope_theta"),
    "theta text": (config(rope_theta="big", rope_parameters=None), "rope_theta"),
    "config fifo": (instead(CONFIG, os.mkfifo), "FIFO"),
    "config folder": (instead(CONFIG, os.mkdir), "a folder"),
    "config socket": (instead(CONFIG, a_socket), "socket"),
    "config zero": (instead(CONFIG, link_to("/dev/zero")), "device"),
    "config loop": (instead(CONFIG, link_to(CONFIG)), "no model"),
    "config sparse": (instead(CONFIG, sparse), "config.json"),
    "weights none": (instead(WEIGHTS, lambda _: None), "not whole"),
    "weights empty": (content(WEIGHTS, b""), "safetensors"),
    "weights short": (content(WEIGHTS, b"1234"), "safetensors"),
    "weights pickle": (content(WEIGHTS, b"\x80\x04\x95" + b"x" * 100), "safetensors"),
    "weights cut": (resized(-10), "cut short"),
    "weights longer": (resized(10), "not of all"),
    "weights fifo": (instead(WEIGHTS, os.mkfifo), "FIFO"),
    "weights folder": (instead(WEIGHTS, os.mkdir), "a folder"),
    "weights random": (instead(WEIGHTS, link_to("/dev/urandom")), "device"),
    "weights loop": (instead(WEIGHTS, link_to(WEIGHTS)), "Too many levels"),
    "weights sparse": (instead(WEIGHTS, sparse), "not whole"),
    "weights that claim a terabyte": (claims_a_terabyte, "not whole"),
    "header longer than the file": (header(lambda v: None, keep=1 << 20), "safetensors"),
    "header without end": (header(lambda v: None, keep=(1 << 64) - 1), "safetensors"),
    "header large": (header(lambda v: b"{" + b" " * (60 << 20) + b"}"), "safetensors"),
    "header no json": (header(lambda v: b"not json"), "model.safetensors is damaged"),
    "header deep": (header(lambda v: b'{"a":' * 3000 + b"1" + b"}" * 3000), "deep"),
    "header list": (header(lambda v: b"[]"), "model.safetensors is damaged"),
    "header of code": (header(lambda v: v.update(__metadata__={"format": ["pt"]})), "format"),
    "header empty": (header(lambda v: b"{}"), "not of all"),
    "header twice": (header(lambda v: json.dumps(v).encode()[:-1] + b',"lm_head.weight":{}}'), "twice"),
    "offsets overlap": (tensor(data_offsets=[0, 128]), "not as its header says"),
    "offsets far": (tensor(data_offsets=[1 << 40, (1 << 40) + 128]), "header"),
    "offsets back": (tensor(data_offsets=[128, 0]), "header"),
    "offsets negative": (tensor(data_offsets=[-128, 0]), "data_offsets"),
    "offsets float": (tensor(data_offsets=[0.5, 128.5]), "data_offsets"),
    "offsets missing": (tensor(data_offsets=[]), "data_offsets"),
    "dtype unknown": (tensor(dtype="F7"), "header"),
    "dtype wrong": (tensor(dtype="F16"), "header"),
    "shape other": (tensor(shape=[16, 2]), "shape"),
    "shape empty": (tensor(shape=[]), "header"),
    "shape huge": (tensor(shape=[1 << 62, 1 << 62]), "header"),
    "shape of many": (tensor(shape=[1 << 62] * 100_000), "shape"),
    "shape text": (tensor(shape="32"), "shape"),
    "a tensor too many": (tensors(lambda t: t.update(extra=torch.zeros(3))), "no part of a LLaMA"),
    "a tensor of a name": (tensors(lambda t: t.update({"model.layers.x": torch.zeros(3)})), "no part"),
    "a tensor too few": (tensors(lambda t: t.pop("model.norm.weight")), "lacks the weights"),
    "int8": (tensors(lambda t: t.update({k: v.to(torch.int8) for k, v in t.items()})), "I8"),
    "float8": (tensors(lambda t: t.update({k: v.to(torch.float8_e4m3fn) for k, v in t.items()})), "F8_E4M3"),
    "float64": (tensors(lambda t: t.update({k: v.double() for k, v in t.items()})), "F64"),
    "index up": (index({"a": "../whole/model.safetensors"}), "weight_map.a"),
    "index absolute": (index({"a": "/dev/zero"}), "weight_map.a"),
    "index number": (index({"a": 1}), "weight_map.a"),
    "index list": (index([1]), "weight_map"),
    "index empty": (index({}), "names no file"),
    "index pickle": (index({"a": "pytorch_model.bin"}), "only read as safetensors"),
    "index missing": (index({"a": "gone.safetensors"}), "not whole"),
    "index of itself": (index({"a": "model.safetensors.index.json"}), "only read as safetensors"),
    "index long": (index({f"{i}": f"{i}.safetensors" for i in range(1_100_000)}), "index.json is damaged"),
    "index in two": (in_two_files, "there twice"),
    "tokenizer empty": (content(WORDS, b""), "tokenizer.model is no SentencePiece model"),
    "tokenizer noise": (content(WORDS, os.urandom(5000)), "tokenizer.model is no"),
    "tokenizer text": (content(WORDS, b'{"model": {"type": "BPE"}}'), "tokenizer.model is no"),
    "tokenizer long": (instead(WORDS, sparse), "tokenizer.model"),
    "tokenizer fifo": (instead(WORDS, os.mkfifo), "FIFO"),
    "tokenizer folder": (instead(WORDS, os.mkdir), "a folder"),
    "tokenizer missing": (instead(WORDS, lambda _: None), "not whole"),
    "tokenizer bytes": (lambda folder: swap(folder / WORDS, b"port", b"p\xff\xfet"), "not UTF-8"),
    "tokenizer of many": (content(WORDS, b"\n\0" * 8_000_000), "more than a million pieces"),
    "tokenizer small": (pieces(lambda m: m.pieces.pop()), "ids"),
    "tokenizer none": (pieces(lambda m: m.ClearField("pieces")), "tokenizer.model is no"),
    "tokenizer markless": (pieces(lambda m: m.pieces.pop(1)), "tokenizer"),
    "whole": (lambda folder: None, ""),
}


@pytest.fixture(scope="module")
def ends(
    trained: Trained, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[str, str, float, int]]:
    """How each folder ended, in a fork of its own that has loaded a whole model before."""
    root = tmp_path_factory.mktemp("hostile")
    cfg = Model(**SIZES)
    sizes = Sizes(cfg, trained.tokenizer.n_words, trained.recipe.train.seq_len)
    shapes = names.shapes(cfg, trained.tokenizer.n_words)
    weights = save({names.to_huggingface(name): torch.zeros(shape) for name, shape in shapes.items()})
    for name, (spoil, _) in CASES.items():
        folder = root / name
        folder.mkdir()
        (folder / CONFIG).write_text(json.dumps(huggingface_folder.config(sizes, torch.float32)))
        (folder / WEIGHTS).write_bytes(weights)
        (folder / WORDS).write_bytes(trained.tokenizer.model)
        spoil(folder)
    done = programs.run("-c", PROGRAM, str(root), str(SECONDS))
    rows = [json.loads(line[2:]) for line in done.stdout.splitlines() if line.startswith("@ ")]
    assert done.returncode == 0, done.stdout[-3000:]
    return {name: tuple(rest) for name, *rest in rows}


@pytest.mark.parametrize("name", [name for name in CASES if name != "whole"])
def test_a_hostile_folder_is_refused_by_name(ends: dict[str, tuple[str, str, float, int]], name: str) -> None:
    kind, message, seconds, memory = ends[name]
    assert kind == "ours", message
    assert len(message) < 1000 and "\n" not in message
    assert re.search(CASES[name][1], message), message
    assert seconds < SECONDS and memory < LIMIT, f"{seconds:.1f} s, {memory >> 20} MiB"


def test_the_folder_that_they_are_made_from_is_loaded(
    ends: dict[str, tuple[str, str, float, int]],
) -> None:
    assert ends["whole"][0] == "loaded"
