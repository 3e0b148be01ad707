"""Read a YAML document strictly, and say where in it something is wrong.

PyYAML implements YAML 1.1: `5e-4` is a string, `no` and `on` are booleans, `1:30` is ninety, and
the second of two equal keys wins without a word. This reader resolves scalars by the YAML 1.2 core
schema, refuses duplicate keys, and refuses anchors (an experiment file has no templating).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import yaml
from pydantic import BaseModel, ValidationError

from awry.errors import UserError, nearest, spelling_fix

Where = tuple[str | int, ...]


@dataclass(frozen=True)
class Fault:
    """One thing wrong in a document: at which path, what, the value found there, and what to do."""

    path: Where
    message: str
    value: object = None
    fix: str | None = None


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: ClassVar[dict[str, list[Any]]] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            mark = self.peek_event().start_mark  # pyright: ignore[reportOptionalMemberAccess]
            raise yaml.MarkedYAMLError(
                problem="aliases (*name) are not used here", problem_mark=mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                mark = key_node.start_mark
                raise yaml.MarkedYAMLError(problem="a key must be a word", problem_mark=mark)
            if key_node.tag != "tag:yaml.org,2002:str":
                raise yaml.MarkedYAMLError(
                    problem=f"the key `{key_node.value}` is not text; put it in quotes",
                    problem_mark=key_node.start_mark,
                )
            if key_node.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key `{key_node.value}` appears twice in one mapping",
                    problem_mark=key_node.start_mark,
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def _int(loader: Any, node: Any) -> int:
    return int(loader.construct_scalar(node))


_SCALARS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
}
for _tag, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first
    )
_Loader.add_constructor("tag:yaml.org,2002:int", _int)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises UserError with the file and, for bad YAML, the line."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        siblings = [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        close = nearest(path.name, siblings)
        fix = f"did you mean {path.parent / close}?" if close else "check the path"
        raise UserError("no such file", file=path, fix=fix) from None
    except IsADirectoryError:
        raise UserError("this is a directory", file=path, fix="name a YAML file in it") from None
    except UnicodeDecodeError as error:
        raise UserError(f"not UTF-8 text: {error.reason}", file=path) from None
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", file=path) from None
    try:
        document = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        shown = text.splitlines()[mark.line] if mark and mark.line < text.count("\n") + 1 else None
        raise UserError(
            f"{place}{problem}", file=path, value=shown, fix="correct the YAML"
        ) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UserError(f"not YAML: {str(error).splitlines()[0][:200]}", file=path) from None
    if document is None:
        raise UserError("the file is empty", file=path, fix="start from examples/quickstart.yaml")
    if not isinstance(document, dict):
        kind = type(document).__name__
        raise UserError(
            f"must be a mapping of keys to values, not a {kind}",
            file=path,
            fix="start from examples/quickstart.yaml",
        )
    return document


def dotted(path: Sequence[str | int]) -> str:
    """`("arms", "zero", "betas", 1)` as `arms.zero.betas[1]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def present(document: Any, path: Sequence[str | int]) -> bool:
    """Whether the path leads to a written value."""
    part: Any
    for part in path:
        keyed = isinstance(document, Mapping) and part in document
        listed = isinstance(document, list | tuple) and part in range(len(document))
        if not (keyed or listed):
            return False
        document = document[part]
    return True


def _without_tags(document: Any, loc: Where) -> Where:
    """Drop the union tags that pydantic puts in a location (`adapter.lora.r` -> `adapter.r`)."""
    path: list[str | int] = []
    for part in loc:
        if isinstance(document, Mapping) and part not in document and document.get("kind") == part:
            continue
        path.append(part)
        if isinstance(document, Mapping):
            document = document.get(part)
        elif isinstance(document, list | tuple) and isinstance(part, int):
            document = document[part] if part < len(document) else None
    return tuple(path)


def _model_at(model: type[BaseModel], loc: Where) -> type[BaseModel] | None:
    """The pydantic model that a location's last part belongs to."""
    current: Any = model
    for part in loc[:-1]:
        candidates = [current, *getattr(current, "__args__", ())]
        for candidate in candidates:
            fields = getattr(candidate, "model_fields", {})
            if part in fields:
                current = fields[part].annotation
                break
            if "kind" in fields and part in getattr(fields["kind"].annotation, "__args__", ()):
                current = candidate
                break
    for candidate in [current, *getattr(current, "__args__", ())]:
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


_WANTED = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "dict_type": "must be a mapping",
}
_BOUNDS = {
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
}


def explain(error: ValidationError, model: type[BaseModel], document: object) -> list[Fault]:
    """Every fault pydantic found in a document, one per path."""
    faults: dict[Where, Fault] = {}
    for item in error.errors(include_url=False):
        kind, loc, context = item["type"], item["loc"], item.get("ctx", {})
        path, fix = _without_tags(document, loc), None
        given = item["input"]
        value: object = "null" if given is None else given
        if kind == "extra_forbidden":
            owner = _model_at(model, loc)
            message = "unknown key"
            fix = spelling_fix(loc[-1], list(owner.model_fields)) if owner else None
        elif kind == "missing" and isinstance(loc[-1], int):
            path, value = path[:-1], None
            message = f"must have more than {loc[-1]} values"
        elif kind == "missing":
            message, value, fix = "required, but missing", None, f"add `{loc[-1]}: ...`"
        elif kind == "too_long":
            message = (
                f"must have at most {context['max_length']} values, not {context['actual_length']}"
            )
        elif kind == "too_short":
            message, value = "must not be empty", str(given)
        elif kind == "literal_error":
            allowed = re.findall(r"'([^']*)'", str(context["expected"]))
            message, fix = "not one of the allowed values", spelling_fix(value, allowed)
        elif kind in ("union_tag_invalid", "union_tag_not_found"):
            tags = context.get("expected_tags", "'lora', 'singular_values', 'full'")
            allowed = re.findall(r"'([^']*)'", str(tags))
            path = (*path, "kind")
            value = given.get("kind") if isinstance(given, Mapping) else None
            message = "required, but missing" if value is None else "not one of the allowed values"
            fix = spelling_fix(value, allowed)
        elif kind == "value_error":
            message = str(context["error"])
        elif kind in _BOUNDS:
            message = _BOUNDS[kind].format(**context)
        else:
            message = _WANTED.get(kind, item["msg"])
            value = repr(given) if isinstance(given, str) else value
        faults.setdefault(path, Fault(path, message, value, fix))
    # a list that lost its only element to another fault is not also empty
    inner = {path[:n] for path in faults for n in range(len(path))}
    return [fault for path, fault in faults.items() if path not in inner]
