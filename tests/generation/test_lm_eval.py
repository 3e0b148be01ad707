"""Item by item the log-likelihoods of EleutherAI's harness, its own tasks pointed at local data."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from awry.evaluation.benchmarks import find_benchmark
from awry.evaluation.items import Choose, Options
from awry.generation.engine import Engine
from awry.generation.likelihood import score
from awry.models import Policy, load_policy

os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
lm_eval = pytest.importorskip("lm_eval", reason="the oracle lm-eval 0.4.13 is not installed")
if lm_eval.__version__ != "0.4.13":
    pytest.skip("the oracle is lm-eval 0.4.13", allow_module_level=True)

DATA = Path(__file__).parents[3] / "shared/data"
TASKS = Path(lm_eval.__file__).parent / "tasks"
CLOSE = 1e-4
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the public benchmark files are not here")


def truthfulqa(folder: Path, limit: int) -> Path:
    """Rows as the hub has them."""
    rows = json.loads((DATA / "truthfulqa/mc_task.json").read_text())[:limit]
    for row in rows:
        for part in ("mc1_targets", "mc2_targets"):
            row[part] = {"choices": list(row[part]), "labels": list(row[part].values())}
    return _jsonl(folder / "truthfulqa.jsonl", rows)


def lettered(folder: Path, source: Path, limit: int) -> Path:
    import csv

    rows: list[dict[str, Any]] = []
    for row in csv.DictReader(source.open(newline="", encoding="utf-8")):
        choices = [row[f"choice{i}"] for i in range(4)]
        rows.append({"question": row["question"], "choices": choices, "answer": int(row["answer"])})
    return _jsonl(folder / f"{source.stem}.jsonl", rows[:limit])


def _jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def tasks(folder: Path, limit: int) -> dict[str, Options]:
    """Writes the harness's tasks over local files; our options for the same items."""
    anatomy = DATA / "mmlu"
    test = lettered(folder, anatomy / "test/anatomy_test.csv", limit)
    dev = lettered(folder, anatomy / "dev/anatomy_dev.csv", 5)
    questions = truthfulqa(folder, limit)
    wmdp = next((DATA / "wmdp").glob("*bio*.jsonl.gz"))
    sources = {
        "truthfulqa_mc1": ("truthfulqa/truthfulqa_mc1.yaml", {"validation": questions}, 0),
        "truthfulqa_mc2": ("truthfulqa/truthfulqa_mc2.yaml", {"validation": questions}, 0),
        "mmlu_anatomy": ("mmlu/default/mmlu_anatomy.yaml", {"test": test, "dev": dev}, 5),
        "wmdp_bio": ("wmdp/wmdp_bio.yaml", {"test": wmdp}, 0),
    }
    for name, (own, files, shots) in sources.items():
        lines = [
            f"include: {TASKS / own}",
            f"task: local_{name}",
            "tag: null",
            "dataset_path: json",
            "dataset_name: null",
            f"num_fewshot: {shots}",
            "dataset_kwargs:",
            f"  cache_dir: {folder / 'cache'}",
            "  data_files:",
            *(f"    {split}: {path}" for split, path in files.items()),
        ]
        (folder / f"{name}.yaml").write_text("\n".join(lines) + "\n")
    return {
        "truthfulqa_mc1": Options(DATA / "truthfulqa", limit=None),
        "truthfulqa_mc2": Options(DATA / "truthfulqa", limit=None),
        "mmlu_anatomy": Options(DATA / "mmlu", subset=("anatomy",), shots=5),
        "wmdp_bio": Options(DATA / "wmdp", subset=("bio",)),
    }


def harness(model: torch.nn.Module, tokenizer: Any, folder: Path, names: list[str], limit: int):
    """The harness's results: (accuracies by task, logged samples by task)."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=8)  # pyright: ignore
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    found = simple_evaluate(
        model=lm,
        tasks=[f"local_{name}" for name in names],
        task_manager=manager,
        limit=limit,
        log_samples=True,
        bootstrap_iters=0,
    )
    assert found is not None
    samples = {n: sorted(found["samples"][f"local_{n}"], key=lambda s: s["doc_id"]) for n in names}
    return {n: found["results"][f"local_{n}"]["acc,none"] for n in names}, samples


def agree(policy: Policy, theirs: torch.nn.Module, folder: Path, limit: int) -> dict[str, float]:
    """The greatest difference per task; everything else must be equal."""
    options = tasks(folder, limit)
    accuracy, samples = harness(theirs, policy.tokenizer, folder, list(options), limit)
    engine = Engine(policy.model, policy.stop_ids)
    worst: dict[str, float] = {}
    for name, rows in samples.items():
        assert len(rows) == limit
        benchmark = find_benchmark(name.partition("_")[0])
        loaded = benchmark.load(options[name])
        chosen = [item for item in loaded.items[:limit] if isinstance(item, Choose)]
        ours = score(policy, engine, [(item.context, item.continuations) for item in chosen])
        right = 0.0
        for item, found, row in zip(chosen, ours, rows, strict=True):
            by_text = dict(zip(item.continuations, found, strict=True))
            asked = zip(row["arguments"], row["resps"], strict=True)
            for (context, continuation), ((total, greedy),) in asked:
                assert context == item.context, "the prompt itself must be the harness's"
                one = by_text[continuation]
                assert one.greedy == greedy
                worst[name] = max(worst.get(name, 0.0), abs(one.total - total))
            if name.startswith("truthfulqa"):
                continue
            best = max(range(4), key=lambda i: found[i].total)
            right += best == item.facts["gold"]
        if not name.startswith("truthfulqa"):
            assert accuracy[name] == pytest.approx(right / limit)
    return worst


def test_tiny_random_model(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    policy = load_policy("tiny-random", "float32")
    theirs = load_policy("tiny-random", "float32").model
    worst = agree(policy, theirs, tmp_path, limit=25)
    assert len(worst) == 4
    assert max(worst.values()) <= CLOSE, worst


@pytest.mark.behaviour
def test_embedded_model(tmp_path: Path) -> None:
    from awry.errors import UserError
    from awry.models import fetch_embedded

    try:
        fetch_embedded()
    except UserError as error:
        pytest.skip(f"the embedded model cannot be fetched here: {error.message}")
    policy = load_policy("embedded", "float32")
    worst = agree(policy, load_policy("embedded", "float32").model, tmp_path, limit=5)
    assert len(worst) == 4
    assert max(worst.values()) <= CLOSE, worst
