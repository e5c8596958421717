"""The published command prints what the released program prints, with any number of processes."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import programs
import pytest
import ranks
import released
import torch
from trained import Trained
from transformers import LlamaConfig, LlamaForCausalLM

from llama_core.errors import InputError
from llama_core.generate import example
from llama_core.generate.load import load
from llama_core.generate.tokens import Request, generate
from llama_core.model.llama import Llama
from llama_core.recipes.training import Model
from llama_core.tokenizer.model import Tokenizer
from llama_core.train.distributed import World
from llama_core.weights import names

SIZES = {"dim": 64, "multiple_of": 32, "n_heads": 8, "n_layers": 2, "norm_eps": 1e-5}
ROOT = Path(__file__).parents[2]
MODULE = ("-m", "llama_core.generate.example")


@pytest.fixture(scope="module")
def model(trained: Trained) -> Llama:
    torch.manual_seed(2)
    model = Llama(Model(**SIZES), trained.tokenizer.n_words)
    for parameter in model.parameters():
        parameter.data = (0.2 * torch.randn_like(parameter)).half().float()
    return model.eval()


@pytest.fixture(scope="module")
def theirs(model: Llama) -> Any:
    config = LlamaConfig(
        hidden_size=64,
        intermediate_size=model.cfg.ffn_dim,
        num_hidden_layers=2,
        num_attention_heads=8,
        vocab_size=model.vocab_size,
        rms_norm_eps=1e-5,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
    )
    reference = LlamaForCausalLM(config).eval()
    reference.load_state_dict(
        {names.to_huggingface(n): names.permute(n, p, 8) for n, p in model.state_dict().items()}
    )
    return reference


@pytest.fixture(scope="module")
def folders(model: Llama, trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The same model as somebody else has written it, in 1, 2, 4 and 8 files, its tokenizer above it."""
    state = {name: tensor.half() for name, tensor in model.state_dict().items()}
    above = tmp_path_factory.mktemp("released")
    (above / "tokenizer.model").write_bytes(trained.tokenizer.model)
    params = SIZES | {"vocab_size": -1}
    return {n: released.write(above / f"MP{n}", state, params, n) for n in (1, 2, 4, 8)}


def greedy(theirs: Any, ids: Sequence[int], n: int, eos: int | None = None) -> list[int]:
    """The new tokens by transformers' own `generate`."""
    with torch.no_grad():
        found = theirs.generate(
            torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.int64),
            max_new_tokens=n,
            do_sample=False,
            eos_token_id=eos,
            pad_token_id=0,
        )
    return found[0, len(ids) :].tolist()


def published(theirs: Any, words: Tokenizer, prompts: Sequence[str], new: int, longest: int) -> str:
    """What the released program prints for these prompts at temperature 0, after it has loaded the model."""
    lines = ""
    for prompt in prompts:
        ids = words.encode(prompt, bos=True)
        more = greedy(theirs, ids, min(new, longest - len(ids)))
        more = more[: more.index(words.eos_id)] if words.eos_id in more else more
        lines += words.decode(ids + more) + "\n\n==================================\n\n"
    return lines


def logits_of(world: World, folder: str, ids: list[list[int]]) -> list[Any]:
    model, *_ = load(folder, world=world)
    with torch.no_grad():
        return model(torch.tensor(ids)).tolist()


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_files_for_any_number_of_processes_load_on_any_other(
    theirs: Any, folders: dict[int, Path], processes: int
) -> None:
    ids = torch.randint(3, 512, (2, 17), generator=torch.Generator().manual_seed(1)).tolist()
    with torch.no_grad():
        expected = theirs(torch.tensor(ids)).logits
    for folder in folders.values():
        for found in ranks.call(processes, logits_of, str(folder), ids):
            assert torch.allclose(torch.tensor(found), expected, atol=1e-4)


@pytest.mark.slow
def test_more_processes_than_heads_share_a_model(theirs: Any, folders: dict[int, Path]) -> None:
    ids = [[1, 5, 9, 200]]
    with torch.no_grad():
        expected = theirs(torch.tensor(ids)).logits
    for found in ranks.call(9, logits_of, str(folders[2]), ids, timeout=120):
        assert torch.allclose(torch.tensor(found), expected, atol=1e-4)


def texts_of(model: Llama, prompts: Sequence[Sequence[int]], n: int) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in prompts]
    for token in generate(model, [Request(ids, n) for ids in prompts], ends=lambda *_: False, rows=8):
        found[token.request].append(token.id)
    return found


@pytest.mark.slow
def test_greedy_text_of_200_tokens_is_that_of_transformers_in_a_batch_and_one_by_one(
    model: Llama, theirs: Any
) -> None:
    generator = torch.Generator().manual_seed(7)
    lengths = torch.randint(1, 120, (20,), generator=generator).tolist()
    prompts = [torch.randint(3, 512, (n,), generator=generator).tolist() for n in lengths]
    found = texts_of(model, prompts, 200)
    assert [texts_of(model, [ids], 200)[0] for ids in prompts] == found
    assert len({tuple(text) for text in found}) == 20
    for ids, text in zip(prompts, found, strict=True):
        # Each token is the best one after those before it: so it is the one that `generate` takes.
        with torch.no_grad():
            logits = theirs(torch.tensor([ids + text])).logits[0, len(ids) - 1 : -1]
        assert logits.argmax(-1).tolist() == text
    assert [greedy(theirs, ids, 200) for ids in prompts[:2]] == found[:2]


@pytest.mark.parametrize("processes", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_the_published_flags_print_what_the_released_program_prints(
    theirs: Any, trained: Trained, folders: dict[int, Path], processes: int
) -> None:
    folder = folders[2]
    flags = ["--ckpt_dir", str(folder), "--tokenizer_path", str(folder.parent / "tokenizer.model")]
    flags += ["--temperature=0", "--top_p", "0.95", "--max_seq_len=300", "--max_batch_size", "4"]
    done = programs.run(*MODULE, *flags, ranks=processes)
    assert done.returncode == 0, done.stdout
    first, second, rest = done.stdout.split("\n", 2)
    assert first == "Loading" and re.fullmatch(r"Loaded in \d+\.\d\d seconds", second)
    assert len(example.PROMPTS) == 5
    assert rest == published(theirs, trained.tokenizer, example.PROMPTS, 256, 300)


@pytest.mark.slow
def test_the_published_line_works_word_for_word_where_the_file_lies(folders: dict[int, Path]) -> None:
    torchrun = Path(sys.executable).with_name("torchrun")
    line = [str(torchrun), "--nproc_per_node", "2", "example.py", "--ckpt_dir", str(folders[2])]
    line += ["--tokenizer_path", str(folders[2].parent / "tokenizer.model"), "--max_gen_len", "5"]
    done = subprocess.run(
        line, cwd=ROOT, env=programs.environment(), capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Loading\nLoaded in ")
    assert done.stdout.count("\n==================================\n") == 5


def test_prompts_come_from_flags_and_files_and_are_drawn_by_their_seed(
    trained: Trained, folders: dict[int, Path], tmp_path: Path
) -> None:
    listed, lines = tmp_path / "prompts.json", tmp_path / "prompts.txt"
    listed.write_text(json.dumps(["two\nlines", "x"]))
    lines.write_text("The\nimport os\n")
    base = [*MODULE, str(folders[1]), "--max_gen_len", "9"]
    one = programs.run(*base, "--prompt", "def", "--prompts", str(listed)).stdout
    texts = one.split("\n", 2)[2].split("\n\n==================================\n\n")
    assert [text[:3] for text in texts] == ["def", "two", "x" + texts[2][1:3], ""]
    assert texts[1].startswith("two\nlines")
    alone = programs.run(*base, "--prompt", "x", "--max_batch_size=1").stdout
    assert alone.split("\n", 2)[2].split("\n\n====")[0] == texts[2]
    other = programs.run(*base, "--prompt", "x", "--seed", "2").stdout
    assert other.split("\n", 2)[2].split("\n\n====")[0] != texts[2]
    assert programs.run(*base, "--prompts", str(lines)).stdout.count("=====\n") == 2


def test_a_step_of_ours_is_as_good_a_folder(trained: Trained) -> None:
    done = programs.run(*MODULE, "--ckpt-dir", trained.inputs["train"].url, "--prompt=a", "--dtype=bfloat16")
    assert done.returncode == 0 and done.stdout.count("=====\n") == 1, done.stdout


def test_what_is_stray_is_told_and_left(folders: dict[int, Path], tmp_path: Path) -> None:
    folder = tmp_path / "7B"
    folder.mkdir()
    for file in folders[2].iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "checklist.chk").unlink()
    (folder / "tokenizer.model").write_bytes((folders[2].parent / "tokenizer.model").read_bytes())
    (folder / "optimizer.pth").write_bytes(b"stray")
    params = json.loads((folder / "params.json").read_text())
    (folder / "params.json").write_text(json.dumps(params | {"max_seq_len": 2048}))
    done = programs.run(*MODULE, str(folder), "--prompt", "a", "--max_gen_len", "2", ranks=2)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("optimizer.pth") == done.stdout.count("max_seq_len") == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--temperature", "-1"], "temperature"),
        (["--max_seq_len", "0"], "max_seq_len"),
        (["--max_seq_len", "3"], "max_seq_len"),
        (["--nonsense", "3"], "nonsense"),
        (["--prompts", "/nowhere"], "/nowhere"),
        (["--prompt", "caf\udce9"], "is not UTF-8"),
        (["--ckpt_dir", "/nowhere"], "no model"),
    ],
)
def test_what_is_wrong_is_one_line(folders: dict[int, Path], wrong: list[str], said: str) -> None:
    base = [*MODULE, f"--ckpt_dir={folders[1]}", "--prompt", "a long prompt of many tokens"]
    done = programs.run(*base, *wrong, ranks=2 if said == "no model" else 1)
    assert done.returncode == 2
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert said in line and "Traceback" not in done.stdout


def test_arguments_are_taken_in_every_form_that_the_released_program_takes() -> None:
    wanted = {"ckpt_dir": "F", "tokenizer_path": "T", "temperature": 0.5, "max_seq_len": 99}
    for line in (
        "--ckpt_dir F --tokenizer_path T --temperature 0.5 --max_seq_len 99",
        "--ckpt-dir=F --tokenizer-path=T --temperature=0.5 --max-seq-len=99",
        "-ckpt_dir F -tokenizer_path=T --temperature .5 -max_seq_len 99",
        "F T 0.5 --max_seq_len 99",
        "F --max_seq_len 99 --tokenizer_path T 0.5",
        "F T 0.5 0.95 99",
    ):
        found = vars(example.parse(line.split()))
        assert wanted.items() <= found.items(), line
    for wrong in ("F T 0.5 0.95 99 32 more", "F T warm", "", "--tokenizer_path T"):
        with pytest.raises(InputError):
            example.parse(wrong.split())
