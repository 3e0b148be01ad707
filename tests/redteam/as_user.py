"""Runs the corpus at the given levels and prints the reports as JSON: for another user's process.

    python as_user.py LEVEL...

At "rlimits", the weakest level, only what the corpus says cannot be stopped there.
"""

from __future__ import annotations

import json
import sys

from harness import (
    LIMITS,
    WORKERS,
    Scene,
    descendants,
    end_strays,
    run_corpus,
    run_open,
    stray_processes,
)

from awry.sandbox.python import PythonSandbox


def main() -> None:
    told: dict[str, object] = {}
    scene = Scene()
    try:
        for level in sys.argv[1:]:
            before = descendants()
            with PythonSandbox(workers=WORKERS, limits=LIMITS, isolation=level) as sandbox:  # type: ignore[arg-type]
                run = run_open if level == "rlimits" else run_corpus
                isolation, report = sandbox.isolation, run(scene, sandbox)
            told[level] = {
                "isolation": isolation,
                "report": report,
                "strays": stray_processes(before),
            }
            end_strays(before)
    finally:
        scene.close()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
