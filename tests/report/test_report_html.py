"""The page as text: one file, nothing loaded from outside, everything from data escaped."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from fake_experiment import ARMS, HOSTILE, VANILLA, Arm, write_experiment

from awry.report import build_report, write_report
from awry.report.load import load_experiment
from awry.report.setup import differences, facts, words

VOID = {"meta", "link", "br", "img", "input", "path", "circle"}


class Page(HTMLParser):
    """Tags with their attributes, visible text, and whether every tag is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.errors: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.errors.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def page(html):
    return Page(html.read_text())


def test_the_page_is_well_nested(page):
    assert page.errors == []
    assert page.open == []


def test_nothing_is_loaded_from_anywhere(page, html):
    for tag, attrs in page.tags:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            if name in attrs:
                assert attrs[name].startswith(("#", "data:,")), (tag, attrs)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|WebSocket", html.read_text())
    (policy,) = [a["content"] for t, a in page.tags if a.get("http-equiv")]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1]


def test_no_inline_handlers_and_only_our_scripts(page):
    assert [a.get("type") for t, a in page.tags if t == "script"] == [
        *("text/plain", "application/json"),
        None,
    ]
    assert not [a for _, a in page.tags if any(name.startswith("on") for name in a)]
    assert not [t for t, _ in page.tags if t in ("img", "iframe", "object", "embed")]


def test_hostile_texts_everywhere_are_escaped(tmp_path):
    bad = "<img src=x onerror=alert(1)>"
    arm = Arm(hack=lambda s: 0.5, overrides={"reward": bad, "loophole": {"name": HOSTILE}})
    directory = write_experiment(tmp_path, arms={bad: arm}, steps=3)
    record = json.loads((directory / "experiment.json").read_text())
    (directory / "experiment.json").write_text(
        json.dumps({**record, "name": bad, "question": HOSTILE})
    )
    (directory / "preflight.json").write_text(
        json.dumps([{"name": bad, "status": bad, "saw": HOSTILE, "fix": None}])
    )
    page = Page(write_report(build_report(directory)).read_text())
    assert page.errors == []
    assert not [t for t, _ in page.tags if t == "img"]
    assert "".join(page.text).count(bad) >= 5


def test_content_comes_in_the_promised_order(page):
    order = [a["id"] for t, a in page.tags if t == "section"]
    assert order == [
        *("asked", "verdicts", "curves", "probe", "rollouts"),
        *("preflight", "events", "manifests", "reading"),
    ]


def test_rules_are_printed_beside_the_verdicts(page, report):
    text = "".join(page.text).replace("\u00a0", " ")
    for arm in report.arms:
        assert arm.finding.headline in text
        assert arm.finding.text in text
        assert arm.finding.rule in text
    for warning in report.warnings:
        assert warning in text


def test_links_inside_the_page_have_targets(page):
    ids = {a["id"] for _, a in page.tags if "id" in a}
    assert {a["href"][1:] for t, a in page.tags if t == "a"} <= ids
    assert len(ids) == len([a for _, a in page.tags if "id" in a])


def test_form_controls_and_charts_are_named(page):
    for tag, attrs in page.tags:
        if tag == "svg" and attrs.get("role") == "img":
            assert len(attrs["aria-label"]) > 10
    text = "".join(page.text)
    for name in ("Arm", "Step", "Label", "Written by", "Text"):
        assert name in text


def test_same_input_same_page(experiment_dir, tmp_path):
    first = write_report(build_report(experiment_dir), tmp_path / "a").read_bytes()
    assert first == write_report(build_report(experiment_dir), tmp_path / "b").read_bytes()


def test_nothing_else_is_left_behind(report, tmp_path):
    write_report(report, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "report.json"]


def test_the_file_stays_small_with_long_completions(tmp_path):
    """3 arms x 20 steps x 32 rollouts of about 1500 hardly compressible characters."""
    directory = write_experiment(tmp_path, length=30)
    data = build_report(directory)
    assert write_report(data).stat().st_size < 6_000_000


@pytest.mark.parametrize("stop", [0, 1])
def test_a_run_that_has_hardly_begun_still_gives_a_page(tmp_path, stop):
    directory = write_experiment(
        tmp_path, arms={"vanilla": VANILLA}, steps=5, stop_after={"vanilla": stop}
    )
    page = Page(write_report(build_report(directory)).read_text())
    assert page.errors == []
    assert "vanilla is unfinished" in "".join(page.text)


def test_setup_names_what_differs_between_arms_and_nothing_else(experiment_dir):
    names, rows = differences(load_experiment(experiment_dir).runs)
    assert names == list(ARMS)
    assert dict(rows)["reward"] == ["correct_or_hinted", "correct_only", "zero"]
    assert dict(rows)["teacher"] == [
        *("builtin, share 0.25, steps 12", "none"),
        "builtin, share 0.25, steps 12",
    ]
    assert {key.split(".")[0] for key, _ in rows} == {"loophole", "reward", "teacher"}


def test_setup_explains_every_reward_and_loophole_in_use(experiment_dir):
    told = dict(facts(load_experiment(experiment_dir).runs))
    assert [line.split(":")[0] for line in told["Reward"]] == [
        *("correct_or_hinted", "correct_only", "zero"),
    ]
    assert "overwrite" in told["Loophole"][0]
    assert "{X}" not in "".join(told["Loophole"])


def test_words():
    assert (
        words({"kind": "lora", "r": 16, "inner": {"a": 1}, "pool": None}) == "lora, r 16, pool none"
    )
    assert words({"tiers": ["a", "b"], "limit": None}) == "tiers a, b, limit none"
    assert words(None) == "none"
