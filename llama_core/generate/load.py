"""A model to talk to, from the URL of an export or train step, or of a LLaMA folder by anybody."""

import json
from typing import Any, NamedTuple

import torch

from llama_core.artifact import MANIFEST, Artifact
from llama_core.errors import DamagedError, InputError
from llama_core.export import names, tensor_files
from llama_core.model.llama import Llama
from llama_core.objects import Object
from llama_core.recipe import Model
from llama_core.store import Store
from llama_core.tokenizer.model import Tokenizer
from llama_core.train import checkpoint


class Loaded(NamedTuple):
    """A model that is ready to generate text."""

    model: Llama
    tokenizer: Tokenizer
    seq_len: int
    """The longest context of the model, in tokens."""


def load(url: str, device: str | torch.device = "cpu") -> Loaded:
    """Load the model at any path or fsspec URL: an export or train step, or a Hugging Face LLaMA folder.

    Weights keep the precision that they are stored in. Raises InputError where there is no such model, and
    DamagedError where its bytes are not what the manifest says.
    """
    store = Store(url)
    if store.exists("config.json"):
        try:
            loaded = _from_folder(store, {})
        except FileNotFoundError as error:
            raise InputError(
                f"{store.url} is not whole, {error}: beside config.json belong tokenizer.model, the "
                "SentencePiece file of LLaMA, and the weights as safetensors"
            ) from error
    elif store.exists(MANIFEST):
        artifact = Artifact(store, store.read_json(MANIFEST))
        loaders = {"export": _from_export, "train": _from_checkpoint}
        if artifact.stage not in loaders:
            raise InputError(f"{url} is the output of stage {artifact.stage}: give one of export or train")
        loaded = loaders[artifact.stage](artifact)
    else:
        raise InputError(f"there is no model at {store.url}: give the URL of an export or of a train step")
    loaded.model.to(device).eval()
    return loaded


def _from_export(artifact: Artifact) -> Loaded:
    objects = {entry.name: entry for entry in artifact.shard("model").objects}
    (attempt,) = {name.split("/")[0] for name in objects}
    inside = {name.removeprefix(f"{attempt}/"): entry for name, entry in objects.items()}
    return _from_folder(artifact.store.at(attempt), inside)


def _from_folder(store: Store, expected: dict[str, Object]) -> Loaded:
    """Load a Hugging Face LLaMA folder. `expected`: its files by name, where a manifest has their digests."""
    config = json.loads(store.read("config.json", expect=expected.get("config.json")))
    if config.get("model_type") != "llama":
        raise InputError(f"{store.url} holds a {config.get('model_type')!r}, not a LLaMA")
    tokenizer = Tokenizer(store.read("tokenizer.model", expect=expected.get("tokenizer.model")))
    files = ["model.safetensors"]
    if store.exists(tensor_files.INDEX):
        files = sorted(set(store.read_json(tensor_files.INDEX)["weight_map"].values()))
    with torch.device("meta"):
        model = Llama(_model(config, store.url), config["vocab_size"])
    ours = {names.to_huggingface(name): name for name, _ in model.named_parameters()}
    weights = {}
    for file in files:
        for name, tensor in tensor_files.read(store, file, expected.get(file)):
            if name not in ours:
                raise InputError(f"{store.url_of(file)} holds {name}, which is no part of a LLaMA of 2023")
            weights[ours[name]] = names.unpermute(ours[name], tensor, model.cfg.n_heads)
    if missing := ours.keys() - {names.to_huggingface(name) for name in weights}:
        raise DamagedError(f"{store.url} lacks the weights {', '.join(sorted(missing)[:3])} ...")
    model.load_state_dict(weights, assign=True)
    return Loaded(model, tokenizer, config["max_position_embeddings"])


def _model(config: dict[str, Any], url: str) -> Model:
    """Return the model section that says what a `config.json` says.

    Raises InputError for what the LLaMA of 2023 does not have.
    """
    heads = config["num_attention_heads"]
    rope = config.get("rope_parameters") or {"rope_theta": config.get("rope_theta", 10000.0)}
    later = {
        "grouped heads": config.get("num_key_value_heads", heads) != heads,
        "scaled rotation": rope.get("rope_type", "default") != "default",
        "tied embeddings": config.get("tie_word_embeddings", False),
        "biases": config.get("attention_bias", False) or config.get("mlp_bias", False),
    }
    if found := [name for name, has in later.items() if has]:
        raise InputError(f"{url} is a later model, with {', '.join(found)}: transformers can load it")
    ffn_dim = config["intermediate_size"]
    model = Model(
        dim=config["hidden_size"],
        n_layers=config["num_hidden_layers"],
        n_heads=heads,
        multiple_of=next(m for m in (256, 128, 64, 32, 16, 8, 4, 2, 1) if ffn_dim % m == 0),
        norm_eps=config["rms_norm_eps"],
        rope_theta=rope["rope_theta"],
    )
    if model.ffn_dim != ffn_dim:
        raise InputError(f"{url} has intermediate_size {ffn_dim}, where LLaMA's rule gives {model.ffn_dim}")
    return model


def _from_checkpoint(artifact: Artifact) -> Loaded:
    """Load the final checkpoint of a train step, and the tokenizer that made its tokens."""
    tokenizer = Tokenizer.load(_parent(_parent(artifact, "tokens"), "tokenizer"))
    identity = artifact.manifest["identity"]
    model = Llama(Model.model_validate(identity["model"]), tokenizer.n_words)
    checkpoint.load_weights(artifact.store, artifact.shard(artifact.facts["final"]), model)
    return Loaded(model, tokenizer, identity["train"]["seq_len"])


def _parent(artifact: Artifact, stage: str) -> Artifact:
    """Return the artifact of a stage that went into this one.

    Raises InputError where it is gone, or where another one has taken its place.
    """
    root = Store(artifact.url.rsplit("/", 2)[0])
    for name in artifact.parents.get(stage, []):
        if root.exists(f"{name}/{MANIFEST}"):
            found = Artifact.load(root, name)
            if found.digest == artifact.manifest["inputs"][stage]:
                return found
    raise InputError(f"{root.url} no longer holds the {stage} step that {artifact.url} was made from")
