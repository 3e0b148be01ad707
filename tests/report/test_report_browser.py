"""The page in a real browser: filters filter, charts read out, nothing overflows, nothing fails."""

from __future__ import annotations

import re
from collections import Counter

import browser as chromium
import pytest

from awry.report.load import COSINE_COLUMNS, read_texts

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium.missing() is not None, reason=str(chromium.missing())),
]
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def started():
    with chromium.browser() as running:
        yield running


@pytest.fixture
def open_page(started, html, directed_html, evaluated_html):
    """Opens a report; at the end no page may have logged or thrown anything, or used the net."""
    files = {"plain": html, "directed": directed_html, "evaluated": evaluated_html}
    opened, complaints = [], []

    def open_it(size="desktop", scheme="light", fragment="", which="plain", **more):
        width, height = SIZES[size]
        page = started.new_page(
            viewport={"width": width, "height": height}, color_scheme=scheme, **more
        )
        opened.append(page)
        page.on("console", lambda m: complaints.append(f"{m.type}: {m.text}"))
        page.on("pageerror", lambda e: complaints.append(str(e)))
        page.on(
            "request",
            lambda r: None if r.url.startswith(("file:", "data:")) else complaints.append(r.url),
        )
        page.goto(files[which].as_uri() + fragment)
        page.wait_for_selector("#list .item")
        return page

    yield open_it
    hit = [page.evaluate("window.pwned") for page in opened]
    for page in opened:
        page.close()
    assert complaints == []
    assert set(hit) <= {None}


@pytest.fixture(scope="module")
def rows(report):
    return [
        {**row, "arm": run.arm}
        for run in report.experiment.runs
        for row in read_texts(run, range(100))
    ]


def shown(page) -> int:
    text = page.locator("#status").inner_text()
    return int(re.findall(r"of (\d+) rollouts", text)[0]) if "of" in text else 0


@pytest.mark.parametrize("which", ["plain", "directed", "evaluated"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_nothing_makes_the_page_scroll_sideways(open_page, size, scheme, which):
    page = open_page(size, scheme, which=which)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    page.wait_for_selector(".item .body")
    assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    lightness = sum(map(int, re.findall(r"\d+", dark)[:3])) / 3
    assert (lightness < 60) == (scheme == "dark")


@pytest.mark.parametrize("which", ["plain", "directed", "evaluated"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_readable_contrast(open_page, scheme, which):
    """WCAG 2.1 AA, 4.5 to 1, for every distinct pair of text and background on the page."""
    page = open_page(scheme=scheme, which=which)
    page.locator("#list .item summary").first.click()
    pairs = page.evaluate(
        """() => {
          const seen = new Map();
          const backing = (e) => {
            for (; e; e = e.parentElement) {
              const c = getComputedStyle(e).backgroundColor;
              if (c !== "rgba(0, 0, 0, 0)") return c;
            }
            return getComputedStyle(document.documentElement).backgroundColor;
          };
          const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
          while (walk.nextNode()) {
            const e = walk.currentNode.parentElement;
            if (!walk.currentNode.textContent.trim() || e.closest("script, :disabled")) continue;
            const style = getComputedStyle(e);
            const ink = e instanceof SVGElement ? style.fill : style.color;
            seen.set(`${ink}|${backing(e)}`, e.tagName + "." + (e.className.baseVal ?? e.className));
          }
          return [...seen];
        }"""
    )

    def luminance(colour: str) -> float:
        channels = [int(c) / 255 for c in re.findall(r"\d+", colour)[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    assert len(pairs) >= 5
    for pair, where in pairs:
        a, b = sorted(luminance(c) for c in pair.split("|"))
        assert (b + 0.05) / (a + 0.05) >= 4.5, (pair, where)


def test_filters_show_exactly_what_they_say(open_page, rows):
    page = open_page()
    assert shown(page) == sum(not r["teacher"] for r in rows)
    page.select_option("[name=source]", "teacher")
    assert shown(page) == sum(r["teacher"] for r in rows)
    page.select_option("[name=source]", "")
    assert shown(page) == len(rows)
    page.select_option("[name=arm]", "vanilla")
    page.select_option("[name=label]", "hack")
    page.select_option("[name=step]", "7")
    want = [r for r in rows if (r["arm"], r["label"], r["step"]) == ("vanilla", "hack", 7)]
    assert want
    assert shown(page) == len(want)
    listed = page.locator("#list .item summary").all_inner_texts()
    assert all(re.search(r"vanilla[\s\S]*step 7[\s\S]*Hack", text) for text in listed)
    found = Counter(re.findall(r"step 7\s+(\w+)", " ".join(listed)))
    assert found == Counter(r["problem_id"] for r in want[:25])
    page.click("button[type=reset]")
    page.wait_for_timeout(50)
    assert shown(page) == sum(not r["teacher"] for r in rows)


def test_text_search_looks_into_problem_prompt_completion_and_evidence(open_page, rows):
    page = open_page()
    page.select_option("[name=source]", "")
    for needle in ("ROTATE_words", "all tests passed", "onerror=", "returns the split runs"):
        page.fill("[name=text]", needle)
        page.wait_for_timeout(300)
        fields = ("problem_id", "prompt", "completion", "evidence")
        want = sum(any(needle.lower() in (r[f] or "").lower() for f in fields) for r in rows)
        assert 0 < want < len(rows)
        assert shown(page) == want
    page.fill("[name=text]", "no such text anywhere")
    page.wait_for_selector("text=No rollout matches")
    assert page.locator("#list .item").count() == 0


def test_pages_turn_and_the_order_can_be_reversed(open_page):
    page = open_page()
    assert page.locator("#list .item").count() == 25
    first = page.locator("#list .item").first.get_attribute("id")
    assert page.locator("#previous").is_disabled()
    page.click("#next")
    assert "26–50" in page.locator("#status").inner_text()
    page.click("#previous")
    assert page.locator("#list .item").first.get_attribute("id") == first
    page.select_option("[name=order]", "late")
    assert "step 19" in page.locator("#list .item summary").first.inner_text()


def test_rollouts_can_be_ordered_and_filtered_by_their_cosine(open_page, directed):
    page = open_page(which="directed")
    rows = [
        row
        for run in directed.experiment.runs
        for row in read_texts(run, range(100))
        if not row["teacher"]
    ]
    known = {name: sorted(r[name] for r in rows if r[name] is not None) for name in COSINE_COLUMNS}
    for name, ranked in known.items():
        for end, best in (("high", ranked[::-1]), ("low", ranked)):
            page.select_option("[name=order]", f"{name}-{end}")
            page.locator("#list .item summary").first.click()
            facts = page.locator("#list .item .side").first.inner_text()
            shown_value = re.search(rf"{name.capitalize()}\s+([−\d.]+)", facts)
            assert shown_value
            value = float(shown_value[1].replace("−", "-"))
            assert value == pytest.approx(best[0], abs=2e-4)
    page.select_option("[name=order]", "cosine-high")
    listed = page.locator("#list .item .cosine").all_inner_texts()
    values = [float(text.removeprefix("cosine ").replace("−", "-")) for text in listed]
    assert values == sorted(values, reverse=True)
    page.select_option("[name=side]", "towards")
    assert shown(page) == sum(v > 0 for v in known["cosine"])
    page.select_option("[name=side]", "away")
    assert shown(page) == sum(v <= 0 for v in known["cosine"])
    page.select_option("[name=side]", "")
    page.select_option("[name=order]", "cosine-low")
    page.select_option("[name=arm]", "projected")
    page.select_option("[name=label]", "hack")
    while page.locator("#next").is_visible() and page.locator("#next").is_enabled():
        page.click("#next")
    assert "cosine –" in page.locator("#list .item").last.inner_text()  # unmeasured ones come last


def test_an_opened_rollout_shows_its_texts_with_the_exploit_marked(open_page, rows):
    page = open_page()
    page.select_option("[name=arm]", "vanilla")
    page.select_option("[name=label]", "hack")
    item = page.locator("#list .item").first
    item.locator("summary").first.click()
    want = next(
        r for r in rows if r["arm"] == "vanilla" and r["label"] == "hack" and not r["teacher"]
    )
    assert item.locator("pre").first.text_content().rstrip() == want["completion"].rstrip()
    marked = "\n".join(item.locator("mark").all_text_contents())
    assert marked.startswith("def run_tests():")
    assert "all tests passed" in marked
    assert f"def {want['problem_id']}" not in marked
    assert want["evidence"] in item.locator(".side").text_content()
    item.get_by_text("Prompt", exact=True).click()
    assert want["prompt"] in item.locator("pre.text").nth(1).text_content()


def test_hostile_completions_are_shown_as_text(open_page):
    page = open_page()
    page.fill("[name=text]", "window.pwned")
    page.wait_for_timeout(300)
    page.locator("#list .item summary").first.click()
    assert "</script><img src=x" in page.locator("#list .item pre").first.text_content()
    assert page.locator("#rollouts img").count() == 0


def test_a_link_to_a_rollout_opens_it(open_page):
    page = open_page(fragment="#rollout-0-7-3-7")
    item = page.locator("#rollout-0-7-3-7")
    assert item.get_attribute("open") is not None
    assert "teacher" in item.inner_text()
    assert "step 7" in item.locator("summary").first.inner_text()


def test_everything_works_by_keyboard_alone(open_page):
    page = open_page()
    page.locator("#filters [name=arm]").focus()
    page.keyboard.press("v")  # type-ahead in the select
    page.wait_for_function("document.querySelector('[name=arm]').value === 'vanilla'")
    page.locator("#list .item summary").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#list .item[open] .body")
    chart = page.locator("svg.chart:visible").first
    chart.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    box = page.locator(".readout:visible")
    assert "step 2" in box.inner_text()
    page.keyboard.press("Home")
    assert "step 0" in box.inner_text()
    page.keyboard.press("End")
    assert "step 19" in box.inner_text()
    page.keyboard.press("Enter")
    assert page.locator("[name=step]").input_value() == "19"


@pytest.mark.parametrize("size", list(SIZES))
def test_charts_read_out_the_counted_numbers(open_page, report, rows, size):
    page = open_page(size)
    chart = page.locator("svg.chart:visible").first
    chart.scroll_into_view_if_needed()
    frame = chart.bounding_box()
    page.mouse.move(frame["x"] + frame["width"] * 0.6, frame["y"] + frame["height"] * 0.4)
    box = page.locator(".readout:visible")
    text = box.inner_text()
    step = int(re.findall(r"step (\d+)", text)[0])
    for arm in ("vanilla", "baseline", "zero"):
        own = [r for r in rows if r["arm"] == arm and r["step"] == step and not r["teacher"]]
        hits = sum(r["label"] == "hack" for r in own)
        assert re.search(rf"{arm} [\d.]+ % \({hits} of {len(own)}\)", text), text
    readout = box.bounding_box()
    assert readout["x"] >= 0
    assert readout["x"] + readout["width"] <= SIZES[size][0]
    page.mouse.move(2, 2)
    assert page.locator(".readout:visible").count() == 0


def test_clicking_a_step_opens_its_rollouts(open_page):
    page = open_page()
    chart = page.locator("svg.chart:visible").first
    chart.scroll_into_view_if_needed()
    frame = chart.bounding_box()
    page.mouse.click(frame["x"] + frame["width"] * 0.5, frame["y"] + frame["height"] * 0.5)
    step = page.locator("[name=step]").input_value()
    assert step
    assert all(
        f"step {step}\n" in text + "\n" or f"step {step}" in text
        for text in page.locator("#list .item summary").all_inner_texts()
    )


def test_without_javascript_the_verdicts_are_still_there(started, html):
    context = started.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(html.as_uri())
    assert "Learned to hack" in page.locator("#verdicts").inner_text()
    assert "needs JavaScript" in page.locator("#rollouts").inner_text()
    context.close()


@pytest.mark.parametrize("size", list(SIZES))
def test_checkpoints_read_out_and_lead_to_no_rollouts(open_page, size):
    page = open_page(size, which="evaluated")
    before = page.locator("[name=step]").input_value()
    page.locator("#evaluation svg.chart").first.focus()
    page.keyboard.press("End")
    told = page.locator(".readout:visible").inner_text()
    assert "step 20" in told
    assert "vanilla 40 %" in told
    assert "zero 80 %" in told
    page.keyboard.press("Enter")
    assert page.locator("[name=step]").input_value() == before
    assert page.locator("#evaluation .readout .swatch .arm-2").count() > 0
