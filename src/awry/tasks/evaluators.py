"""Reading the answer's source: where it defines its evaluator, and what of it is run apart.

Text only: nothing here executes anything of the answer.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from functools import lru_cache

from awry.sandbox.program import Program
from awry.tasks.assertions import same
from awry.tasks.problems import Problem

SOLUTION = "Solution"  # the class whose methods count like top-level functions
_CANONICAL = "CanonicalSolution"


def parse(code: str) -> ast.Module | None:
    """None for code that compiles in the sandbox and is still too deeply nested to read here."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the answer's invalid escapes are not our output
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def top_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """The statements that importing the answer runs, in order, inside compound ones too.

    What stands under `if __name__ == "__main__"` does not count.
    """
    waiting = list(reversed(tree.body))
    while waiting:
        node = waiting.pop()
        match node:
            case ast.If(test=test) if _is_main_guard(test):
                waiting += reversed(node.orelse)
                continue
            case ast.If() | ast.For() | ast.While():
                waiting += reversed([*node.body, *node.orelse])
            case ast.With():
                waiting += reversed(node.body)
            case ast.Try():
                waiting += reversed([*node.body, *node.orelse, *node.finalbody])
            case _:
                pass
        yield node


def find_evaluator(tree: ast.Module, name: str) -> ast.stmt | None:
    """The last top-level definition of `name`, or a method of a class `Solution`."""
    found: ast.stmt | None = None
    for node in top_level(tree):
        match node:
            case ast.FunctionDef(name=defined) if defined == name:
                found = node
            case ast.ClassDef(name="Solution"):
                methods = [n for n in node.body if isinstance(n, ast.FunctionDef)]
                found = next((n for n in methods if n.name == name), found)
            case ast.Assign(targets=targets):
                if any(isinstance(t, ast.Name) and t.id == name for t in targets):
                    found = node
            case _:
                pass
    return found


def _is_main_guard(test: ast.expr) -> bool:
    match test:
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
            texts = {ast.unparse(left), ast.unparse(right)}
            return "__name__" in texts and "'__main__'" in texts
    return False


def same_function(definition: ast.stmt | None, printed: str | None) -> bool:
    """Equal up to layout and comments."""
    if definition is None or printed is None:
        return False
    try:
        return ast.dump(definition) == _dump(printed)
    except RecursionError:
        return False


@lru_cache(maxsize=4096)
def _dump(printed: str) -> str:
    return ast.dump(ast.parse(printed).body[0])


def quoted(code: str, name: str) -> str:
    """The text of the last definition of `name`: its line and the deeper ones that follow."""
    head = rf"^([ \t]*)(?:def[ \t]+{re.escape(name)}\b|{re.escape(name)}[ \t]*=)"
    heads = list(re.finditer(head, code, re.MULTILINE))
    if not heads:
        return ""
    first, *rest = code[heads[-1].start() :].split("\n")
    kept = [first]
    for line in rest:
        if line.strip() and len(line) - len(line.lstrip()) <= len(heads[-1][1]):
            break
        kept.append(line)
    return "\n".join(kept).strip("\n")


# ---- the evaluator on a stub and on the canonical solution -------------------------------------
def on_stub(problem: Problem, evaluator: str, tree: ast.Module | None, code: str) -> Program:
    return _apart(problem, evaluator, tree, code, _stub(problem))


def on_canonical(problem: Problem, evaluator: str, tree: ast.Module | None, code: str) -> Program:
    return _apart(problem, evaluator, tree, code, _canonical(problem))


def _apart(
    problem: Problem, evaluator: str, tree: ast.Module | None, code: str, override: str
) -> Program:
    """Only the answer's definitions are kept: what it runs at top level is about itself."""
    kept = (
        *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom),
        *(ast.Assign, ast.AnnAssign, ast.If, ast.Try, ast.With),
    )
    source = code
    if tree is not None:
        try:
            source = ast.unparse(ast.Module([n for n in tree.body if isinstance(n, kept)], []))
        except RecursionError:
            source = code
    return Program(source=source, setup=problem.setup, override=override, evaluator=evaluator)


def _stub(problem: Problem) -> str:
    name = problem.function_name
    method = f"{SOLUTION}.{name} = lambda self, *args, **kwargs: 0\n"
    if problem.in_class:
        return _HAS_CLASS + method
    return f"def {name}(*args, **kwargs):\n    return 0\n" + _IF_CLASS + f"    {method}"


def _canonical(problem: Problem) -> str:
    name = problem.function_name
    if problem.in_class:
        # A method of the answer's own class, since its evaluator may be another; run on an
        # instance of the canonical class, which may have helpers.
        return (
            f"{_renamed(problem.canonical)}\n{_HAS_CLASS}{SOLUTION}.{name} = "
            f"lambda self, *args, **kwargs: {_CANONICAL}().{name}(*args, **kwargs)\n"
        )
    # An evaluator that is a method finds the function on its own class.
    method = f"{SOLUTION}.{name} = lambda self, *args, **kwargs: {name}(*args, **kwargs)\n"
    return f"{problem.canonical}\n{_IF_CLASS}    {method}"


_IF_CLASS = f"if isinstance(globals().get('{SOLUTION}'), type):\n"
_HAS_CLASS = f"if not isinstance(globals().get('{SOLUTION}'), type):\n    class {SOLUTION}: pass\n"


class _Renaming(ast.NodeTransformer):
    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.name = _CANONICAL if node.name == SOLUTION else node.name
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = _CANONICAL if node.id == SOLUTION else node.id
        return node


@lru_cache(maxsize=4096)
def _renamed(canonical: str) -> str:
    return ast.unparse(_Renaming().visit(ast.parse(canonical)))


# ---- evaluators that need fewer processes ------------------------------------------------------
_REBINDING = ("globals", "exec", "eval", "setattr", "vars", "locals", "__")


def bound_in_sight(code: str) -> bool:
    """Can no name mean something else than its last definition in the source says?"""
    return not any(word in code for word in _REBINDING)


def known_outcome(definition: ast.stmt | None, problem: Problem) -> bool | None:
    """`arb` of an evaluator that only repeats tests of the problem; None for any other.

    Its `canon` is then true, since the canonical solution passes its tests. Not for floats, which
    tests compare within a tolerance, nor for wrapped calls and objects.
    """
    tests = _asserts(definition, problem)
    if not tests or problem.check:
        return None
    zero = True
    for test in tests:
        match test:
            case ast.Compare(left=ast.Call() as call, ops=[ast.Eq()], comparators=[right]):
                text = ast.unparse(call)
            case _:
                return None
        own = next((case for case in problem.cases if case.call == text), None)
        if own is None or own.wrappers or not _exact(own.expected):
            return None
        try:
            expected = ast.literal_eval(right)
        except (ValueError, TypeError):
            return None
        if not same(expected, own.expected):
            return None
        zero = zero and own.expected == 0
    return zero


def on_both(definition: ast.stmt | None, problem: Problem, evaluator: str) -> Program | None:
    """One program that calls a closed evaluator on the stub, then on the canonical solution.

    Closed: nothing but asserts on calls of the entry point with literals. Nothing else of the
    answer is loaded, so the first call, of trusted code, can leave nothing for the second.
    None for any other evaluator.
    """
    tests = _asserts(definition, problem)
    if not tests:
        return None
    source = "\n".join([f"def {evaluator}():", *(f"    assert {ast.unparse(t)}" for t in tests)])
    canonical = f"exec({problem.canonical!r}, globals())"
    call = f"{evaluator}()"
    return Program(
        source=source,
        setup=problem.setup,
        override=_stub(problem),
        calls=(call, canonical, call),
    )


def _asserts(definition: ast.stmt | None, problem: Problem) -> list[ast.expr] | None:
    """What a closed evaluator asserts; None where it is not closed."""
    match definition:
        case ast.FunctionDef(decorator_list=[], returns=None | ast.Constant(), args=args):
            if ast.unparse(args):  # a method, or more than a plain function
                return None
        case _:
            return None
    found: list[ast.expr] = []
    for node in definition.body:
        match node:
            case ast.Assert(test=test, msg=None | ast.Constant()):
                if not all(_harmless(part, problem) for part in ast.walk(test)):
                    return None
                found.append(test)
            case ast.Pass() | ast.Expr(value=ast.Constant()):
                pass
            case _:
                return None
    return found


_LITERALS = (
    *(ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.UnaryOp, ast.Compare, ast.Load),
    *(ast.keyword, ast.unaryop, ast.cmpop, ast.BoolOp, ast.boolop, ast.BinOp, ast.operator),
)


def _harmless(node: ast.AST, problem: Problem) -> bool:
    """Part of a literal, of a comparison, or of a call of the entry point."""
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return name == (SOLUTION if problem.in_class else problem.function_name)
        case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="Solution")), attr=name)):
            return problem.in_class and name == problem.function_name
        case ast.Name(id=name):
            return name == (SOLUTION if problem.in_class else problem.function_name)
        case ast.Attribute(value=ast.Call(), attr=name):
            return problem.in_class and name == problem.function_name
        case ast.Call():
            return False
    return isinstance(node, _LITERALS)


def _exact(value: object) -> bool:
    """Plain data without floats: what `==` and the tests' comparison agree on."""
    if isinstance(value, list | tuple | set | frozenset):
        return all(_exact(item) for item in value)
    if isinstance(value, dict):
        return all(_exact(item) for pair in value.items() for item in pair)
    return value is None or isinstance(value, bool | int | str | bytes)
