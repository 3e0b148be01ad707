"""The page of a curation: what it says, that it is whole, and how it looks in a browser."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import browser as chromium
import pytest

from awry.errors import UserError
from awry.report.curation import Histogram, histogram, interval_bar, write_page
from awry.tasks.bands import Rule, Score, confirmation, judge, summarise

K = 16
PASSES = (*[0] * 9, *[1] * 4, *[2] * 3, 3, 4, 5, 5, 6, 8, 9, 10, 12, 16, 16)
RULE = Rule((0.1, 0.6))


def write(folder: Path, rule: Rule = RULE, confirm: bool = False, **changes: Any) -> Path:
    folder.mkdir()
    hostile = '<script>window.pwned = 1</script>"'
    scores = [
        Score(f"p{i:02d}{hostile if i == 20 else ''}", "d", K, n, i % 3, i % 4, 900, 5)
        for i, n in enumerate(PASSES)
    ]
    kept = [s for s in scores if judge(s, rule)["inside"]]
    fresh = [Score(s.id, "d", 8, max(0, s.passes // 2 - 1), 0, 0, 400, 1) for s in kept]
    record = {
        "awry": "0",
        "kind": "curation",
        "finished": True,
        "model": "some/<model>",
        "source": "catalog",
        "device": "cpu",
        "left_out": [{"id": "long", "reason": "too long"}],
        "settings": {
            "policy": dict.fromkeys(("weights", "tokenizer", "chat_template"), "a" * 64)
            | {"adapter": None},
            "dtype": "bfloat16",
            "samples": K,
            "seed": 3,
            "loophole": "overwrite_tests_aware",
            "sampling": {"max_new_tokens": 96, "temperature": 0.9, "top_p": 0.95},
            "problems": "b" * 64,
            "limits": {"wall_s": 3.0, "cpu_s": 1.0},
            "band": list(rule.band),
            "by": rule.by,
        },
        "isolation": ["rlimits"],
        "code": [{"revision": "c" * 40, "diff_sha256": None}],
        **summarise(scores, rule),
        "confirmed": confirmation(kept, fresh, rule) if confirm else None,
    } | changes
    for name, rows in (("samples", scores), ("confirmed", fresh if confirm else [])):
        text = "".join(json.dumps(judge(s, rule)) + "\n" for s in rows)
        (folder / f"{name}.jsonl").write_text(text)
    (folder / "curation.json").write_text(json.dumps(record))
    return write_page(folder)


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("page") / "c", confirm=True)


def test_it_says_what_was_kept_and_how_sure_that_is(page: Path) -> None:
    text = re.sub(r"\s+", " ", page.read_text())  # no-break spaces too
    kept = sum(0.1 <= n / K <= 0.6 for n in PASSES)
    assert f"<h1>{kept} of {len(PASSES)} problems kept</h1>" in text
    certain = sum(judge(Score("", "", K, n, 0, 0, 0, 0), RULE)["certain"] == "in" for n in PASSES)
    assert 0 < certain < kept
    assert f"<b>{certain}</b><span>in it with their whole interval" in text
    assert "chosen by the answers that measured them" in text
    assert f"{kept - certain} of the {kept} kept problems may lie outside the band" in text
    assert "31 % of the answers were cut off at 96 tokens" in text
    assert re.search(r"pass rate moved by −\d+\.\d points \(−\d+\.\d to −\d+\.\d\)", text)
    assert "top-p 0.95, seed 3" in text
    assert "too long" in text


def test_every_problem_has_its_row(page: Path) -> None:
    text = page.read_text()
    first, rest = text.split("that were not kept", 1)
    kept = sum(0.1 <= n / K <= 0.6 for n in PASSES)
    assert first.count('class="where"') == kept
    assert rest.count('class="where"') == len(PASSES) - kept
    assert text.count("Asked again</th>") == 2


def test_the_page_is_one_file_and_escapes_what_it_is_given(page: Path) -> None:
    text = page.read_text()
    assert "<script" not in text
    assert "some/<model>" not in text
    assert not re.search(r"(?:src|href)=\"(?!#|data:)", text)
    assert "default-src 'none'" in text


def test_without_a_finished_record_there_is_no_page(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no finished curation"):
        write_page(tmp_path)
    with pytest.raises(UserError, match="no finished curation"):
        write(tmp_path / "c", finished=False)


def test_a_page_where_nothing_was_kept(tmp_path: Path) -> None:
    text = write(tmp_path / "c", Rule((0.99, 0.995))).read_text()
    assert f"0 of {len(PASSES)} problems kept" in text
    assert "No problem lies in the band" in text


def test_a_page_where_nothing_was_asked(tmp_path: Path) -> None:
    empty = summarise([], RULE)
    page = write(tmp_path / "c")
    record = json.loads((tmp_path / "c/curation.json").read_text()) | empty
    (tmp_path / "c/curation.json").write_text(json.dumps(record))
    (tmp_path / "c/samples.jsonl").write_text("")
    assert write_page(tmp_path / "c") == page
    assert "No problem was asked" in page.read_text()


# ---- charts -------------------------------------------------------------------------------------
def bars(svg: str) -> list[tuple[bool, float, int]]:
    """(inside the band, height, problems) of each bar."""
    found = re.findall(
        r'<rect class="bar( inside)?"[^>]* height="([\d.]+)"><title>[^<]*: (\d+) problems', svg
    )
    return [(bool(inside), float(height), int(n)) for inside, height, n in found]


def test_bars_are_as_high_as_their_counts() -> None:
    svg = str(histogram(Histogram("Pass rate", Counter(PASSES), K, (0.1, 0.6))))
    drawn = bars(svg)
    assert [n for _, _, n in drawn] == [n for _, n in sorted(Counter(PASSES).items())]
    unit = {round(height / n, 1) for _, height, n in drawn}
    assert max(unit) - min(unit) < 0.3
    inside = [2 <= hits <= 9 for hits in sorted(set(PASSES))]
    assert [within for within, _, _ in drawn] == inside
    assert "band 10 to 60 %" in svg


def test_many_answers_are_put_into_bins() -> None:
    counts = Counter({0: 5, 1: 4, 2: 3, 50: 2, 100: 1})
    drawn = bars(str(histogram(Histogram("Pass rate", counts, 100, (0.1, 0.6)))))
    assert [n for _, _, n in drawn] == [12, 2, 1]
    assert [within for within, _, _ in drawn] == [False, True, False]


def test_only_the_rate_that_decides_has_a_band() -> None:
    svg = str(histogram(Histogram("Hack rate", Counter({0: 3}), K, None)))
    assert "band" not in svg
    assert bars(svg)[0][0] is False
    assert "3 problems, 3 at 0 %" in svg


def test_an_interval_lies_where_its_numbers_say() -> None:
    svg = str(interval_bar(0.5, (0.25, 0.75), (0.1, 0.6), width=112))
    assert 'd="M31.0 8H81.0"' in svg
    assert 'cx="56.0"' in svg
    assert '<rect class="band" x="16.0" y="0" width="50.0"' in svg
    assert "50 %, interval 25 to 75 %" in svg


# ---- in a browser -------------------------------------------------------------------------------
@pytest.mark.browser
@pytest.mark.skipif(chromium.missing() is not None, reason=str(chromium.missing()))
def test_in_a_browser_nothing_overflows_and_the_bars_stand_out(page: Path) -> None:
    with chromium.browser() as started:
        colours = set()
        for size in ((1280, 900), (390, 844)):
            for scheme in ("light", "dark"):
                opened = started.new_page(
                    viewport={"width": size[0], "height": size[1]}, color_scheme=scheme
                )
                complaints: list[str] = []
                opened.on("console", lambda m, kept=complaints: kept.append(m.text))
                opened.on("pageerror", lambda e, kept=complaints: kept.append(str(e)))
                opened.goto(page.as_uri())
                width = opened.evaluate("document.documentElement.scrollWidth")
                assert width <= size[0], (size, width)
                fill = "getComputedStyle(document.querySelector('.bar.inside')).fill"
                paper = "getComputedStyle(document.body).backgroundColor"
                shown = (opened.evaluate(fill), opened.evaluate(paper))
                assert shown[0] != shown[1]
                colours.add((scheme, *shown))
                assert opened.evaluate("window.pwned") is None
                assert complaints == []
                opened.close()
        assert len(colours) == 2
