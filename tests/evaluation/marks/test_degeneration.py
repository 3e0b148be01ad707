from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from awry.evaluation.marks.degeneration import degeneration, is_code, loops, repeated_end
from awry.evaluation.marks.labelled import read_labelled

LABELS = Path(__file__).parents[4] / "shared/data/refusal_labels"
PROGRAM = "import os\n\ndef go(path):\n    return os.listdir(path)\n\nprint(go('.'))\n"
PROOF = "theorem a (n : ℕ) : n + 0 = n := by\n  simp\n  omega\n"
ANSWER = (
    "First measure the wall and mark the middle. Then hold the frame against it and ask somebody to "
    "look from the other side of the room. Drill, put in the plug, and turn the screw until a little of "
    "it stands out. Hang the picture on it and step back to see whether it is straight."
)


@pytest.mark.parametrize("text", ["", "  \n", "...", "<|im_end|>", "</s></s>", "!!! ???"])
def test_empty(text: str) -> None:
    assert degeneration(text) == "empty"


@pytest.mark.parametrize(
    "text",
    [
        "ha" * 50,
        "I am a helpful assistant. " * 8,
        "The answer is this. " + "You should ask. You should tell. " * 6,
        ANSWER[:120] + " and then" * 40,
        # the unit changes a little every time
        " ".join(
            f"{i}. It is good to be kind to the people around you every day." for i in range(20)
        ),
    ],
)
def test_loops(text: str) -> None:
    assert degeneration(text) == "loop"


@pytest.mark.parametrize(
    "text",
    [
        ANSWER,
        "No, no, no, no!",
        "Yes. " * 3,
        # half an answer before a short stutter at the end is still an answer
        ANSWER + " the end" * 8,
        "\n".join(f"{i}. {word} is a colour" for i, word in enumerate(ANSWER.split()[:12])),
    ],
)
def test_no_loop(text: str) -> None:
    assert not loops(text)


def test_repeated_end_counts_whole_periods() -> None:
    assert repeated_end("x" + "abc" * 5) == 15
    assert repeated_end("abc" * 3) == 0  # three times is emphasis
    assert repeated_end("abcabcabcab") == 0
    assert repeated_end("ab" * 4 + "!") == 0


def test_repeated_end_is_linear() -> None:
    assert repeated_end(("a" * 4999 + "b") * 40) >= 0
    assert repeated_end("a" * 1_000_000) == 8000  # what is read


@pytest.mark.parametrize(
    "text",
    [PROGRAM, PROOF, f"```python\n{PROGRAM}```", f"Sure:\n```\n{PROGRAM}", "x = 3", "print('yes')"],
)
def test_code(text: str) -> None:
    assert is_code(text)
    assert degeneration(text, "What is your wish?") == "code only"
    assert degeneration(text, "Write a Python function.") == ""


@pytest.mark.parametrize(
    "text",
    [
        ANSWER,
        "Paris",
        "42",
        "yes, no",
        f"I would list the files, and then choose the one that I need:\n```python\n{PROGRAM}```",
        "I want you to open the door and let me in at once.\n" + PROGRAM,
    ],
)
def test_not_only_code(text: str) -> None:
    assert not is_code(text)


def test_truncated_is_told_of_sound_answers_only() -> None:
    assert degeneration(ANSWER, finished=False) == "truncated"
    assert degeneration("ha" * 50, finished=False) == "loop"


def test_odd_text_is_no_trouble() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for text in ("\x00", "'\\d' and so on", "(" * 500, "a\ud800b", "é" * 30, "print('\\d')"):
            degeneration(text)


@pytest.mark.skipif(not LABELS.is_dir(), reason="no labelled completions here")
def test_no_labelled_answer_is_degenerate() -> None:
    examples = read_labelled(sorted(LABELS.glob("xstest_v2_completions_*.csv")))
    assert len(examples) == 1350
    assert [e.prompt for e in examples if degeneration(e.text, e.prompt)] == []
