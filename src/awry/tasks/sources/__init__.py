"""Problems from public data sets, each by a reader of its own."""

from __future__ import annotations

from awry.tasks.sources import (
    humaneval,
    lean_rows,
    lean_workbook,
    leetcode,
    mbpp,
    minif2f_lean,
    steering,
)

FORMATS = {
    form.name: form for form in (leetcode.FORMAT, steering.FORMAT, humaneval.FORMAT, mbpp.FORMAT)
}
PROOF_FORMATS = {
    form.name: form for form in (lean_rows.FORMAT, minif2f_lean.FORMAT, lean_workbook.FORMAT)
}
