"""Code problems from public data sets, each by a reader of its own."""

from __future__ import annotations

from awry.tasks.sources import humaneval, leetcode, mbpp, steering

FORMATS = {
    form.name: form for form in (leetcode.FORMAT, steering.FORMAT, humaneval.FORMAT, mbpp.FORMAT)
}
