"""From a data set's own test code to `assert CALL == LITERAL`, and what cannot be written so."""

from __future__ import annotations

import ast
import builtins
import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from awry.tasks.assertions import WRAPPERS, parse_test

_COMPARED = {"is_same_list": "list_node", "is_same_tree": "tree_node"}
_BUILTINS = frozenset(dir(builtins))


@dataclass(frozen=True)
class Harvest:
    """tests: those that could be rewritten, in order, each once. left: whatever else can fail."""

    tests: tuple[str, ...]
    left: tuple[ast.stmt, ...]


def from_check(source: str, call: str, known: Iterable[str] = ()) -> Harvest:
    """The tests in a `def check(candidate)`; `call` is what `candidate` stands for.

    known: names that the problem's setup defines. Raises ValueError when there is no such function.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise ValueError(f"the test code is not Python: {error.msg}") from error
    for node in reversed(tree.body):
        if isinstance(node, ast.FunctionDef) and node.name == "check" and len(node.args.args) == 1:
            return _harvest(node.body, node.args.args[0].arg, call, known)
    raise ValueError("the test code defines no check(candidate)")


def from_statements(
    statements: Sequence[str], name: str, call: str, known: Iterable[str] = ()
) -> Harvest:
    """The same for statements about `name`. Raises ValueError for one that is not Python."""
    body: list[ast.stmt] = []
    for number, statement in enumerate(statements):
        try:
            body += ast.parse(statement.strip()).body
        except SyntaxError as error:
            raise ValueError(f"test {number} is not Python: {error.msg}") from error
    return _harvest(body, name, call, known)


def _harvest(body: Sequence[ast.stmt], name: str, call: str, known: Iterable[str]) -> Harvest:
    found = [node for statement in body for node in _name_nodes(statement)]
    bound = {node.id for node in found if isinstance(node.ctx, ast.Store)}
    names = (_BUILTINS | frozenset(known)) - bound
    tests: list[str] = []
    left: list[ast.stmt] = []
    for statement in body:
        if _inert(statement):
            continue
        test = _test(statement, name, call, names)
        if test is None:
            left.append(statement)
        else:
            tests.append(test)
    return Harvest(tuple(dict.fromkeys(tests)), tuple(left))


def _inert(statement: ast.stmt) -> bool:
    """Cannot fail: a docstring, a bare name, `assert True`."""
    match statement:
        case ast.Pass() | ast.Expr(value=ast.Constant()) | ast.Expr(value=ast.Name()):
            return True
        case ast.Assert(test=ast.Constant(value=True)):
            return True
    return False


def _test(statement: ast.stmt, name: str, call: str, known: frozenset[str]) -> str | None:
    """One statement as a test, or None where that would not be the same test."""
    if not isinstance(statement, ast.Assert):
        return None
    sides = _sides(statement.test, name)
    if sides is None:
        return None
    left, right = sides
    innermost = _innermost(left)
    # What stands around the call must be ours: a helper would run beside the answer.
    if innermost is None or not isinstance(innermost.func, ast.Name) or innermost.func.id != name:
        return None
    given = [*innermost.args, *(keyword.value for keyword in innermost.keywords)]
    if any(name in _names(node) for node in (*given, right)) or not _names(left) <= known | {name}:
        return None
    was, innermost.func = innermost.func, ast.parse(call, mode="eval").body
    text = f"assert {ast.unparse(left)} == {ast.unparse(right)}"
    innermost.func = was  # a statement that is left over stays as it is
    try:
        parse_test(text)
    except ValueError:
        return None
    return text


def _innermost(node: ast.expr) -> ast.Call | None:
    """The call inside wrappers such as `sorted`, as `parse_test` finds it."""
    while isinstance(node, ast.Call):
        match node:
            case ast.Call(func=ast.Name(id=wrapper), args=[ast.Call() as first, *_]) if (
                wrapper in WRAPPERS
            ):
                node = first
            case _:
                return node
    return None


def _sides(test: ast.expr, name: str) -> tuple[ast.expr, ast.expr] | None:
    """(what is called, what it must equal) of an assertion that says the same as `==`."""
    match test:
        case ast.Call(func=ast.Name(id=helper), args=[left, right], keywords=[]) if (
            helper in _COMPARED
        ):
            match right:
                case ast.Constant(value=None):
                    return left, right
                case ast.Call(func=ast.Name(id=builder)) if builder == _COMPARED[helper]:
                    return left, right
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
            swapped = name in _names(right) and name not in _names(left)
            return (right, left) if swapped else (left, right)
        case ast.Compare(
            left=left,
            ops=[ast.Is()],
            comparators=[ast.Constant(value=True | False | None) as right],
        ):
            return left, right  # values are compared strictly by type: nothing else equals these
    return None


def _names(node: ast.expr) -> frozenset[str]:
    return frozenset(name.id for name in _name_nodes(node))


def _name_nodes(node: ast.AST) -> Iterator[ast.Name]:
    """As `ast.walk` finds them, without a visit to every number of a long list."""
    waiting = [node]
    while waiting:
        match waiting.pop():
            case ast.Name() as name:
                yield name
            case ast.Constant():
                pass
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                waiting += items
            case other:
                waiting += ast.iter_child_nodes(other)


class _Renamed(ast.NodeTransformer):
    """`name` replaced by an expression."""

    def __init__(self, name: str, target: ast.expr) -> None:
        self.name, self.target = name, target

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.target if node.id == self.name else node


def as_check(statements: Sequence[ast.stmt], name: str, preamble: str = "") -> str:
    """`def check(candidate)` out of statements about `name`, after what they need."""
    target = ast.Name("candidate", ast.Load())
    module = ast.parse("def check(candidate):\n    pass")
    function = module.body[0]
    assert isinstance(function, ast.FunctionDef)
    function.body = [_Renamed(name, target).visit(statement) for statement in statements]
    text = ast.unparse(ast.fix_missing_locations(module))
    return f"{preamble.strip()}\n\n{text}\n" if preamble.strip() else f"{text}\n"


def signature(function: ast.FunctionDef) -> str:
    """Its `def` line, without decorators, as a starter."""
    alone = copy.copy(function)
    alone.body, alone.decorator_list = [ast.Pass()], []
    return ast.unparse(alone).removesuffix("pass").rstrip() + "\n"


def defined_names(source: str) -> frozenset[str]:
    """Names that a module binds at top level; of `import *` only what our data sets use."""
    found: set[str] = set()
    for node in ast.parse(source).body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.Assign(targets=targets):
                found |= {t.id for t in targets if isinstance(t, ast.Name)}
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                found |= {alias.asname or alias.name.partition(".")[0] for alias in names}
    return frozenset(found - {"*"})


def evenly(items: Sequence[str], most: int | None) -> tuple[str, ...]:
    """At most `most` of the items: first, last, and evenly between."""
    if most is None or len(items) <= most:
        return tuple(items)
    if most == 1:
        return (items[0],)
    return tuple(items[round(i * (len(items) - 1) / (most - 1))] for i in range(most))
