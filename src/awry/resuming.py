"""Going on in a folder that an earlier session began: under the same settings, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from awry.errors import UserError


def demand_same(
    before: object, now: object, folder: Path, *, what: str, options: Mapping[str, str]
) -> None:
    """Raise one UserError for all settings that differ, each named by the option that sets it.

    before, now: nested mappings. options: dotted name -> where a user sets it; else `--name`.
    """
    there, here = _flat(before), _flat(now)
    errors = [
        UserError(
            f"differs from the {what} in this folder",
            field=options.get(name, f"--{name}"),
            value=f"{_short(there.get(name))} there, {_short(here.get(name))} now",
            file=folder,
            fix="give the same settings to go on with it, or another --out",
        )
        for name in dict.fromkeys([*here, *there])
        if there.get(name) != here.get(name)
    ]
    if errors:
        first, *rest = errors
        first.also = tuple(rest)
        raise first


def _flat(value: object, at: str = "") -> dict[str, object]:
    if isinstance(value, Mapping):
        parts = [_flat(v, f"{at}.{k}" if at else str(k)) for k, v in value.items()]
        return {name: leaf for part in parts for name, leaf in part.items()}
    return {at: value}


def _short(value: object) -> str:
    if isinstance(value, list):
        return " ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in value) or "all"
    return value[:12] if isinstance(value, str) and len(value) == 64 else str(value)
