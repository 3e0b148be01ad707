"""How well variants of the direction tell held-out hacks from honest answers: the table of
docs/design/direction.md.

    python benchmarks/direction_quality.py

The embedded model, untrained, full-rank singular-value coordinates. AUROC of the per-sample cosine on
the held-out pairs, and on the `hard` ones, whose honest side defines the evaluator as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import workload
from awry.gradients.adapters import attach_singular_values
from awry.gradients.directions import auroc, extract, random_direction, shuffled
from awry.gradients.extraction import completion_components, encode, pair_differences
from awry.gradients.per_sample import module_cosines
from awry.tasks.pairs import load_benign_pairs, load_pairs, task_of


def main() -> None:
    torch.set_num_threads(2)
    own = workload.policy()
    adapter = attach_singular_values(own)
    workload.sampler(own)
    pairs = load_pairs()
    heldout = [p for p in pairs if p.split == "heldout"]
    differences = pair_differences(adapter, [p for p in pairs if p.split == "extraction"])
    contrast = [p for p in load_benign_pairs() if p.split == "extraction"]
    benign = pair_differences(adapter, contrast)
    names = ("adapter_kind", "basis_digest", "pairs_digest", "model_digest")
    options: dict[str, Any] = {
        "noise_floor": 0.1,
        "drop_quantile": 0.25,
        **dict.fromkeys(names, ""),
    }
    made = {f"svd k={k}": extract(differences, top_k=k, **options) for k in (1, 3, 8)}
    whole: dict[str, Any] = options | {"noise_floor": 0.0, "drop_quantile": 0.0}
    made["svd k=16, all modules"] = extract(differences, top_k=16, **whole)
    made["mean of unit differences"] = extract(differences, top_k=1, method="mean", **options)
    for seed in range(5):
        made[f"shuffled k=3, draw {seed}"] = shuffled(differences, seed=seed, top_k=3, **options)
    made["benign k=3"] = extract(benign, top_k=3, **options)
    made["random"] = random_direction(made["svd k=3"], 0)
    vectors = {name: {m: d.principal(m) for m in d.axes} for name, d in made.items()}
    for k in (3, 8):
        d = made[f"svd k={k}"]
        weighted = {m: (d.values[m] / d.values[m].norm()) @ d.axes[m] for m in d.axes}
        vectors[f"svd k={k}, weighted by singular values"] = weighted
    coded = [encode(own, pair) for pair in heldout]
    completions = [pair[side] for side in (0, 1) for pair in coded]
    axes = {
        m: torch.stack([v[m] for v in vectors.values() if m in v])
        for m in adapter.modules
        if any(m in v for v in vectors.values())
    }
    seen = completion_components(adapter, completions, axes)
    squares = dict(zip(axes, seen.squares().T, strict=True))
    hard = torch.tensor([f"def {task_of(p).evaluator}" in p.honest for p in heldout])
    n, where = len(heldout), dict.fromkeys(axes, 0)

    def score(vector: Mapping[str, Tensor]) -> tuple[float, float]:
        dots = []
        for m in vector:
            dots.append(seen.along(m)[:, where[m]])
            where[m] += 1
        lengths = torch.stack([squares[m] for m in vector], 1)
        cosine = module_cosines(torch.stack(dots, 1), lengths).mean(1)
        hacks, honest = cosine[:n], cosine[n:]
        return auroc(hacks, honest), auroc(hacks[hard], honest[hard])

    scores = {name: score(vector) for name, vector in vectors.items()}
    print(f"{n} held-out pairs, {int(hard.sum())} of them hard")
    for name, (every, difficult) in scores.items():
        print(f"{name:42} {every:.2f}  {difficult:.2f}")
    ours = scores["svd k=3"][0]
    theirs = scores["svd k=3, weighted by singular values"][0]
    print(
        json.dumps(
            {
                "name": Path(__file__).stem,
                "ours": round(ours, 3),
                "theirs": round(theirs, 3),
                "unit": "AUROC",
                "ratio": round(ours / theirs, 3),
                "machine": workload.MACHINE,
            }
        )
    )


if __name__ == "__main__":
    main()
