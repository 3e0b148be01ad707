"""How well variants of the direction tell held-out hacks from honest answers: the table of
docs/design/direction.md.

    python benchmarks/direction_quality.py [--run runs/store/train/KEY ...]

The embedded model, untrained, full-rank singular-value coordinates. AUROC of the per-sample cosine on
the held-out pairs, and on the `hard` ones, whose honest side defines the evaluator as well. With
--run also on what the policy itself wrote in these runs: the student's hacks against its other
answers of the same step and run, still at the untrained weights, where the direction was extracted.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from torch import Tensor

import workload
from awry.gradients.adapters import Adapter, attach_singular_values
from awry.gradients.directions import auroc, extract, random_direction, shuffled
from awry.gradients.extraction import Completion, completion_components, encode, pair_differences
from awry.gradients.per_sample import module_cosines
from awry.report.counts import MEASURES
from awry.tasks.pairs import load_benign_pairs, load_pairs, task_of

COLUMNS = ["step", "teacher", "label", "prompt_ids", "completion_ids"]


def own_rollouts(runs: list[Path]) -> list[tuple[tuple[int, int], bool, Completion]]:
    """((run, step), hack?, completion) of all students' answers in steps that have both kinds."""
    found: list[tuple[tuple[int, int], bool, Completion]] = []
    for number, run in enumerate(runs):
        for file in sorted((run / "rollouts").glob("step_*.parquet")):
            rows = [r for r in pq.read_table(file, columns=COLUMNS).to_pylist() if not r["teacher"]]
            kinds = [r["label"] in MEASURES["hack"] for r in rows]
            if len(set(kinds)) == 2:
                found += [
                    (
                        (number, r["step"]),
                        kind,
                        (tuple(r["prompt_ids"]), tuple(r["completion_ids"])),
                    )
                    for r, kind in zip(rows, kinds, strict=True)
                ]
    return found


def within(strata: Sequence[tuple[int, int]], hacks: Tensor, scores: Tensor) -> float:
    """AUROC over pairs of a hack and another answer of the same stratum."""
    wins = pairs = 0.0
    for stratum in dict.fromkeys(strata):
        here = torch.tensor([s == stratum for s in strata])
        a, b = scores[here & hacks], scores[here & ~hacks]
        if not len(a) or not len(b):  # thinned to --answers, a step may have kept one kind only
            continue
        wins += auroc(a, b) * len(a) * len(b)
        pairs += len(a) * len(b)
    return wins / pairs


def cosines(
    adapter: Adapter,
    completions: Sequence[Completion],
    axes: Mapping[str, Tensor],
    vectors: Mapping[str, Mapping[str, Tensor]],
) -> dict[str, Tensor]:
    """Mean over modules of the cosine of every completion's gradient with each vector.

    axes: module -> the vectors that have it, stacked in their order.
    """
    seen = completion_components(adapter, completions, axes)
    squares = dict(zip(axes, seen.squares().T, strict=True))
    where, found = dict.fromkeys(axes, 0), {}
    for name, vector in vectors.items():
        dots = []
        for m in vector:
            dots.append(seen.along(m)[:, where[m]])
            where[m] += 1
        lengths = torch.stack([squares[m] for m in vector], 1)
        found[name] = module_cosines(torch.stack(dots, 1), lengths).mean(1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, nargs="*", default=[], help="folders of runs")
    parser.add_argument("--answers", type=int, default=256, help="of the runs, at most, evenly")
    args = parser.parse_args()
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
    hard = torch.tensor([f"def {task_of(p).evaluator}" in p.honest for p in heldout])
    n, scores = len(heldout), {}
    for name, cosine in cosines(adapter, completions, axes, vectors).items():
        hacks, honest = cosine[:n], cosine[n:]
        scores[name] = [auroc(hacks, honest), auroc(hacks[hard], honest[hard])]
    print(f"{n} held-out pairs, {int(hard.sum())} of them hard")
    written = own_rollouts(args.run)
    if written := written[:: -(-len(written) // args.answers)]:
        strata, kinds, answers = zip(*written, strict=True)
        hacks = torch.tensor(kinds)
        print(f"own rollouts: {int(hacks.sum())} hacks, {int((~hacks).sum())} other answers")
        for name, cosine in cosines(adapter, answers, axes, vectors).items():
            scores[name].append(within(strata, hacks, cosine))
    for name, figures in scores.items():
        print(f"{name:42} " + "  ".join(f"{figure:.2f}" for figure in figures))
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
