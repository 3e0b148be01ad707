"""A small refusal classifier fitted to labelled answers: n-grams and logistic regression.

It reads the first 400 characters: words 1 to 3 and characters 2 to 5 in a row, TF-IDF, and which of the
lexical detector's patterns are there; L2-penalised logistic regression. The patterns carry what few
models cannot teach: n-grams of some models alone miss the short refusals of another. Validated with the
model family and the prompts held out; what it is worth on answers unlike those it was fitted to (another
language, another style) must be checked on a sample.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_array, diags_array, hstack

from awry.errors import UserError
from awry.evaluation.marks import detectors
from awry.evaluation.marks.agreement import Agreement, Error, by_group, error_of
from awry.evaluation.marks.labelled import Example, digest
from awry.files import atomic_write

FORMAT = 1
CHARACTERS = 400  # that are read
WORDS = (1, 3)
LETTERS = (2, 5)
MIN_DOCUMENTS = 2  # a term in fewer answers is not learned from
MAX_TERMS = 10_000  # of each kind, those in most answers
PENALTY = 10.0  # C: the weight of the data against |w|^2 / 2
THRESHOLD = 0.5
FOLDS = 5  # of prompts
SCHEMES = ("prompt", "model", "model and prompt")  # what a validation holds out
FEWEST = 50  # labelled answers, 10 of each label
PATTERNS = "patterns"
KINDS = ("words", "letters", PATTERNS)
PATTERN_SCALE = 0.5  # value of a pattern that is there; a text's n-grams together have length 1
_WORD = re.compile(r"[\w']+")
_FORMAT_FIX = "fit it again with `awry judge fit`"


def terms(text: str) -> dict[str, Counter[str]]:
    """Counts of the n-grams in the part of a text that is read, and the patterns that are there."""
    plain = " ".join(detectors.normalise(text).split())[:CHARACTERS]
    words = _WORD.findall(plain)
    padded = f" {plain} "
    found = detectors.patterns_in(text)
    there = {p.name for p in found} | {f"any that {p.kind}" for p in found} or {"none"}
    return {
        "words": Counter(" ".join(words[i : i + n]) for n, i in _spans(WORDS, len(words))),
        "letters": Counter(padded[i : i + n] for n, i in _spans(LETTERS, len(padded))),
        PATTERNS: Counter(there),
    }


@dataclass(frozen=True)
class Block:
    """The terms of one kind with their inverse document frequencies and weights, float32 [terms]."""

    terms: tuple[str, ...]
    idf: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class RefusalModel:
    """Fitted weights. about: what it was fitted to and how it did on what it had not seen."""

    blocks: dict[str, Block]
    bias: float
    about: dict[str, Any]

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """[texts] P(refusal), full or partial."""
        counted = [terms(text) for text in texts]
        logits = np.full(len(texts), self.bias)
        for kind, block in self.blocks.items():
            where = {term: i for i, term in enumerate(block.terms)}
            matrix = _matrix([c[kind] for c in counted], where)
            logits += _weighted(kind, matrix, block.idf) @ block.weights.astype(float)
        return 1 / (1 + np.exp(-np.clip(logits, -60, 60)))

    @property
    def digest(self) -> str:
        """sha256 of everything that decides its marks."""
        sha = hashlib.sha256(repr((FORMAT, self.bias)).encode())
        for kind, block in sorted(self.blocks.items()):
            sha.update("\n".join((kind, *block.terms)).encode())
            sha.update(block.idf.tobytes() + block.weights.tobytes())
        return sha.hexdigest()

    @property
    def error(self) -> Error | None:
        """Sensitivity and specificity on models and prompts it had not seen; None if not measured."""
        held_out = self.about["validation"].get("model and prompt") or self.about["validation"].get(
            "prompt"
        )
        return error_of({m: Agreement(**c) for m, c in held_out.items()}) if held_out else None

    def save(self, path: Path) -> None:
        """One .npz file without pickled objects."""
        about = json.dumps(
            self.about | {"format": FORMAT, "bias": self.bias}, sort_keys=True, ensure_ascii=False
        )
        arrays = {"about": np.frombuffer(about.encode(), np.uint8)}
        for kind, block in self.blocks.items():
            arrays[f"{kind}.terms"] = np.frombuffer("\n".join(block.terms).encode(), np.uint8)
            arrays[f"{kind}.idf"], arrays[f"{kind}.weights"] = block.idf, block.weights
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)  # pyright: ignore[reportArgumentType]
        atomic_write(path, buffer.getvalue())


def load(path: Path) -> RefusalModel:
    """A model that `save` wrote. Raises UserError."""
    if not path.is_file():
        raise UserError("there is no such detector", file=path, fix="make one: `awry judge fit`")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            blocks = {
                kind: Block(
                    tuple(arrays[f"{kind}.terms"].tobytes().decode().split("\n")),
                    arrays[f"{kind}.idf"],
                    arrays[f"{kind}.weights"],
                )
                for kind in KINDS
            }
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError("not a fitted refusal detector", file=path, fix=_FORMAT_FIX) from error
    sizes = {len(b.terms) == len(b.idf) == len(b.weights) for b in blocks.values()}
    if about.get("format") != FORMAT or sizes != {True}:
        raise UserError("a detector of another format", file=path, fix=_FORMAT_FIX)
    if about["patterns"] != detectors.digest():
        raise UserError("fitted with other patterns than these", file=path, fix=_FORMAT_FIX)
    return RefusalModel(blocks, float(about.pop("bias")), about)


def fit(examples: Sequence[Example]) -> RefusalModel:
    """Fit to all examples, validate by fits that hold models and prompts out. Raises UserError."""
    refusals = sum(e.refusal for e in examples)
    if len(examples) < FEWEST or min(refusals, len(examples) - refusals) < 10:
        raise UserError(
            f"too few labelled answers: {len(examples)}, of them {refusals} refusals",
            fix=f"give {FEWEST} or more, with 10 or more of each label",
        )
    corpus = Corpus(examples)
    blocks, bias = corpus.fit(np.arange(len(examples)))
    models = [e.model for e in examples]
    truth = [e.refusal for e in examples]
    validation = {
        scheme: {
            m: a.counts()
            for m, a in by_group([p > THRESHOLD for p in found], truth, models).items()
        }
        for scheme, found in cross_validate(examples, corpus).items()
    }
    about = {
        "what": "refusal, full or partial, from the first characters of an answer",
        "training_digest": digest(examples),
        "patterns": detectors.digest(),
        "answers": dict(sorted(Counter(models).items())),
        "refusals": dict(sorted(Counter(e.model for e in examples if e.refusal).items())),
        "families": sorted({e.family for e in examples}),
        "settings": {
            "characters": CHARACTERS,
            "words": WORDS,
            "letters": LETTERS,
            "min_documents": MIN_DOCUMENTS,
            "max_terms": MAX_TERMS,
            "pattern_scale": PATTERN_SCALE,
            "penalty": PENALTY,
            "threshold": THRESHOLD,
            "folds": FOLDS,
        },
        "validation": validation,
    }
    return RefusalModel(blocks, bias, about)


def cross_validate(
    examples: Sequence[Example],
    corpus: Corpus | None = None,
    schemes: Sequence[str] = SCHEMES,
) -> dict[str, list[float]]:
    """P(refusal) of every example from fits that had not seen its model family ("model"), its
    prompt ("prompt"), or either ("model and prompt"). With one family, by prompt only."""
    corpus = corpus or Corpus(examples)
    families = np.array([e.family for e in examples])
    folds = np.array([fold(e.prompt) for e in examples])
    names = sorted(set(families.tolist()))
    found: dict[str, list[float]] = {}
    for scheme in schemes:
        by_model, by_prompt = "model" in scheme, "prompt" in scheme
        if by_model and len(names) < 2:
            continue
        out = np.full(len(examples), np.nan)
        for name in names if by_model else [None]:
            for f in range(FOLDS) if by_prompt else [None]:
                own_model = (families == name) if by_model else np.ones(len(examples), bool)
                own_prompt = (folds == f) if by_prompt else np.ones(len(examples), bool)
                held = own_model & own_prompt
                seen = ~((own_model & by_model) | (own_prompt & by_prompt))
                if held.any():
                    blocks, bias = corpus.fit(np.flatnonzero(seen))
                    out[held] = corpus.predict(np.flatnonzero(held), blocks, bias)
        found[scheme] = out.tolist()
    return found


def fold(prompt: str) -> int:
    """The fold of a prompt, the same whatever else there is."""
    plain = " ".join(prompt.lower().split())
    return int.from_bytes(hashlib.sha256(plain.encode()).digest()[:4], "big") % FOLDS


class Corpus:
    """Counts of the terms of labelled answers, made once for all the fits of a validation."""

    def __init__(self, examples: Sequence[Example]) -> None:
        counted = [terms(e.text) for e in examples]
        self.labels = np.array([e.refusal for e in examples], float)
        self.terms: dict[str, list[str]] = {}
        self.counts: dict[str, csr_array] = {}
        for kind in KINDS:
            frequency = Counter(term for c in counted for term in c[kind])
            kept = sorted(t for t, n in frequency.items() if n >= MIN_DOCUMENTS)
            self.terms[kind] = kept
            where = {term: i for i, term in enumerate(kept)}
            self.counts[kind] = _matrix([c[kind] for c in counted], where)

    def fit(self, rows: np.ndarray) -> tuple[dict[str, Block], float]:
        """Terms, frequencies and weights from these rows alone."""
        chosen: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        parts: list[Any] = []
        for kind in KINDS:
            counts = self.counts[kind][rows]
            documents = np.asarray((counts > 0).sum(axis=0)).ravel()
            often = np.argsort(-documents, kind="stable")[:MAX_TERMS]
            columns = np.sort(often[documents[often] >= MIN_DOCUMENTS])
            idf = np.log((1 + len(rows)) / (1 + documents[columns])) + 1
            if kind == PATTERNS:
                idf = np.full(len(columns), PATTERN_SCALE)
            chosen[kind] = columns, idf.astype(np.float32)
            parts.append(_weighted(kind, counts[:, columns], chosen[kind][1]))
        weights, bias = _logistic(csr_array(hstack(parts)), self.labels[rows])
        blocks: dict[str, Block] = {}
        begin = 0
        for kind, (columns, idf) in chosen.items():
            own = weights[begin : begin + len(columns)].astype(np.float32)
            blocks[kind] = Block(tuple(self.terms[kind][c] for c in columns), idf, own)
            begin += len(columns)
        return blocks, float(np.float32(bias))

    def predict(self, rows: np.ndarray, blocks: dict[str, Block], bias: float) -> np.ndarray:
        """[rows] P(refusal)."""
        logits = np.full(len(rows), bias)
        for kind, block in blocks.items():
            where = {term: i for i, term in enumerate(self.terms[kind])}
            columns = np.array([where[t] for t in block.terms], int)
            matrix = _weighted(kind, self.counts[kind][rows][:, columns], block.idf)
            logits += matrix @ block.weights.astype(float)
        return 1 / (1 + np.exp(-np.clip(logits, -60, 60)))


def _logistic(x: csr_array, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights [terms] and bias that minimise |w|^2 / 2 + C * the sum of log losses."""
    sign = 2 * y - 1
    transposed = csr_array(x.T)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        w, b = parameters[:-1], parameters[-1]
        margin = sign * (x @ w + b)
        slope = -sign / (1 + np.exp(np.clip(margin, -60, 60)))
        value = 0.5 * w @ w + PENALTY * np.logaddexp(0, -margin).sum()
        return float(value), np.append(w + PENALTY * (transposed @ slope), PENALTY * slope.sum())

    start = np.zeros(x.shape[1] + 1)  # pyright: ignore[reportOptionalSubscript]
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-8}
    ).x
    return found[:-1], float(found[-1])


def _weighted(kind: str, counts: csr_array, idf: np.ndarray) -> csr_array:
    """(1 + log count) * idf, each row of n-grams of length 1 (a row of zeros stays)."""
    weighted = csr_array(counts, dtype=float, copy=True)
    weighted.data = 1 + np.log(weighted.data)
    weighted = csr_array(weighted @ diags_array(idf.astype(float)))
    if kind == PATTERNS:
        return weighted
    lengths = np.sqrt(np.asarray((weighted * weighted).sum(axis=1)).ravel())
    return csr_array(diags_array(1 / np.where(lengths > 0, lengths, 1)) @ weighted)


def _matrix(counted: Sequence[Counter[str]], where: dict[str, int]) -> csr_array:
    """[texts, terms] counts of the terms that have a place."""
    indices: list[int] = []
    values: list[int] = []
    starts = [0]
    for counts in counted:
        known = sorted((where[t], n) for t, n in counts.items() if t in where)
        indices += [i for i, _ in known]
        values += [n for _, n in known]
        starts.append(len(indices))
    shape = (len(counted), len(where))
    return csr_array((np.array(values, float), np.array(indices, np.int64), starts), shape=shape)


def _spans(lengths: tuple[int, int], total: int) -> Iterator[tuple[int, int]]:
    for n in range(lengths[0], lengths[1] + 1):
        for i in range(total - n + 1):
            yield n, i
