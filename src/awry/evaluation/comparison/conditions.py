"""What has to be equal before two evaluations may be compared, and how they differ. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from awry.errors import UserError, nearest

FIELDS = (
    *("benchmark", "version", "items", "subset", "limit", "shots", "prompt", "template"),
    *("tokenizer", "dtype", "quantisation", "engine", "sampling", "samples", "seed", "scorers"),
)
SCORER = "scorer"  # scorers are compared one by one: scorer[lexical-v1]

Conditions = Mapping[str, Any]
"""Field -> value, nested fields flattened: sampling.temperature, scorer[lexical-v1]."""


@dataclass(frozen=True)
class Difference:
    """One condition that two evaluations do not share; sides: the names of the two policies."""

    benchmark: str
    field: str
    sides: tuple[str, str]
    values: tuple[Any, Any]


def conditions(record: Mapping[str, Any]) -> dict[str, Any]:
    """The conditions of an evaluation.json, flattened. Raises UserError where one is not recorded."""
    found = record.get("conditions")
    if not isinstance(found, Mapping):
        raise UserError("this evaluation does not say how it was made", field="conditions")
    absent = [name for name in FIELDS if name not in found]
    if absent:
        raise UserError(
            "this evaluation does not record all that a comparison needs",
            field="conditions",
            value="missing: " + ", ".join(absent),
            fix="evaluate again with this version of awry",
        )
    flat: dict[str, Any] = {}
    for name, value in found.items():
        if name == "scorers":
            flat |= {f"{SCORER}[{scorer}]": identity for scorer, identity in (value or {}).items()}
        elif isinstance(value, Mapping):
            flat |= {f"{name}.{key}": inner for key, inner in value.items()}
        else:
            flat[name] = value
    return flat


def differences(a: Conditions, b: Conditions) -> list[tuple[str, Any, Any]]:
    """(field, value in a, value in b) of every condition that differs, absent ones as None.

    A scorer that only one side used is no difference: its metrics stand alone (see `rivals`).
    """
    fields = [*a, *(field for field in b if field not in a)]
    return [
        (field, a.get(field), b.get(field))
        for field in fields
        if _canonical(a.get(field)) != _canonical(b.get(field))
        and not (field.startswith(f"{SCORER}[") and (field in a) != (field in b))
    ]


def split(metric: str) -> tuple[str, str]:
    """`non_refusal_rate[lexical-v1]` -> (`non_refusal_rate`, `lexical-v1`)."""
    name, _, scorer = metric.partition("[")
    return name, scorer.removesuffix("]")


def rivals(a: Iterable[str], b: Iterable[str]) -> list[tuple[str, str, str]]:
    """(name, metric in a, metric in b): one thing measured by two scorers of the same kind, or by
    no scorer that both used. Such numbers look alike and are not.
    """
    sides = [_by_name(metrics) for metrics in (a, b)]
    found: list[tuple[str, str, str]] = []
    for name in sides[0].keys() & sides[1].keys():
        first, second = sides[0][name], sides[1][name]
        shared = first & second
        kinds = [{scorer_kind(s): s for s in sorted(side - shared)} for side in (first, second)]
        clashes = [(kinds[0][k], kinds[1][k]) for k in sorted(kinds[0].keys() & kinds[1].keys())]
        if not clashes and not shared:
            clashes = [(min(first), min(second))]
        found += [(name, _full(name, x), _full(name, y)) for x, y in clashes]
    return sorted(found)


def scorer_kind(scorer: str) -> str:
    """What a scorer is told apart from: lexical, fitted, or the judge's rubric without version."""
    parts = scorer.split(":")
    last = parts[-1] if parts[0] == "judge" else parts[0]
    kind = last.rpartition("-v")[0] or last
    return f"judge:{kind}" if parts[0] == "judge" else kind


def permitted(field: str, allowed: Sequence[str]) -> bool:
    """Whether --allow lets this field differ: by its name or that of what it is part of."""
    whole = field.partition(".")[0].partition("[")[0]
    return field in allowed or whole in allowed


def check_allowed(allowed: Sequence[str], known: Iterable[str]) -> None:
    """Raises UserError for a name that is no condition: a typing error must not pass unseen."""
    names = {*known}
    names |= {field.partition(".")[0].partition("[")[0] for field in names} | {*FIELDS, SCORER}
    for name in allowed:
        if name not in names:
            close = nearest(name, names)
            raise UserError(
                "no such condition",
                field="--allow",
                value=name,
                fix=(f"did you mean `{close}`? " if close else "")
                + "conditions: "
                + ", ".join([*FIELDS[:-1], SCORER]),
            )


def refuse(found: Sequence[Difference]) -> UserError:
    """The error for conditions that differ: every field by its name, with both values."""
    merged: dict[tuple[str, str, str, str, str], list[str]] = {}
    for d in found:
        first, second = _apart(*d.values)
        key = (d.field, d.sides[0], shown(first), d.sides[1], shown(second))
        merged.setdefault(key, []).append(d.benchmark)
    each = [
        UserError(f"{x} in {a}, {y} in {b} ({_listed(where)})", field=field)
        for (field, a, x, b, y), where in merged.items()
    ]
    names = list(dict.fromkeys(d.field.partition("[")[0] for d in found))
    flags = " ".join(f"--allow {name}" for name in names)
    return UserError(
        "these evaluations were not made under the same conditions: " + ", ".join(names),
        fix=f"evaluate again under the same ones, or accept the difference by name: {flags}",
        also=each,
    )


def shown(value: Any) -> str:
    """A value for people; digests by their first twelve digits."""
    if value is None:
        return "none"
    if isinstance(value, str):
        is_digest = len(value) == 64 and set(value) <= set("0123456789abcdef")
        return value[:12] if is_digest else value
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def _apart(a: Any, b: Any) -> tuple[Any, Any]:
    """Of two mappings only what differs; other values as they are."""
    if not (isinstance(a, Mapping) and isinstance(b, Mapping)):
        return a, b
    keys = [k for k in {**a, **b} if _canonical(a.get(k)) != _canonical(b.get(k))]
    return {k: a.get(k) for k in keys}, {k: b.get(k) for k in keys}


def _listed(names: Sequence[str], most: int = 4) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _by_name(metrics: Iterable[str]) -> dict[str, set[str]]:
    out: dict[str, set[str]] = {}
    for metric in metrics:
        name, scorer = split(metric)
        out.setdefault(name, set()).add(scorer)
    return out


def _full(name: str, scorer: str) -> str:
    return f"{name}[{scorer}]" if scorer else name


def _canonical(value: Any) -> str:
    # 1 and 1.0 are the same setting, whichever way a file wrote it
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
