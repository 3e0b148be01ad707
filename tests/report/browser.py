"""A headless Chromium for the report's tests; also `browser.py REPORT OUT.png [SECTION]`
(a section of the page, by default `verdicts`)."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CANDIDATES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def missing() -> str | None:
    """Why no browser can be started, or None."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "the Python package playwright is not installed"
    return None if executable() else f"none of {', '.join(CANDIDATES)} is on this machine"


def executable() -> str | None:
    return next((path for name in CANDIDATES if (path := shutil.which(name))), None)


@contextmanager
def browser() -> Iterator:
    from playwright.sync_api import sync_playwright

    # Chromium refuses its own sandbox to root, as in most containers; the pages are ours
    args = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable(), args=args)
        try:
            yield started
        finally:
            started.close()


def screenshot(report: Path, out: Path, section: str = "verdicts") -> None:
    """What a reader sees from this section on, at twice the resolution."""
    with browser() as started:
        page = started.new_page(
            viewport={"width": 1280, "height": 900}, device_scale_factor=2, color_scheme="light"
        )
        page.goto(report.resolve().as_uri())
        page.wait_for_selector("#list .item")
        page.evaluate(
            "(id) => document.getElementById(id).scrollIntoView({behavior: 'instant'})", section
        )
        page.screenshot(path=str(out))


if __name__ == "__main__":
    if reason := missing():
        sys.exit(reason)
    screenshot(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:4])
