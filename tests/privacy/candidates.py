"""Every place in postern/ where the code asks whose something is, found by reading it, and a way to do without one.

`python -m tests.privacy.candidates` prints them all. Each must stand in killers.py: with what turns red without it, or
with the reason why nothing does. Found are calls of the query layer (NARROWERS, ANSWERS, OWN), filters by a person
(PERSONS), comparisons of whose a row is (WHOSE), questions after the role, and views that are for a role alone (GATES).
"""

from __future__ import annotations

import ast
import gc
import inspect
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

ROOT = Path(__file__).parents[2]
NARROWERS = {"visible_to", "owned_by", "written_by"}
"""Of a QuerySet: without it, all rows."""
MANAGERS = {"of", "current"}
"""The same, where a manager is asked: names too short to be known by themselves."""
FILTERS = {"filter", "get", "exclude", "Q", "get_object_or_404"}
PERSONS = {"owner", "owner_id", "staff", "staff_id", "author", "author_id", "added_by"}
PERSONS |= {f"mailbox__{name}" for name in PERSONS} | {"wall_key__in"}
WHOSE = {"owner_id", "author_id", "staff_id", "added_by_id"}
ANSWERS = {"still_granted", "may_answer"}
"""Functions that say yes or no: without them, yes."""
OWN = {"own_conversation": 1, "own_mailbox": 1}
"""Functions that hand back what is somebody's own: without them, the argument of that number as it came."""
GATES = {"for_super"}
"""Decorators of views."""
ELSEWHERE = ("demo", "sync", "wire", "mime")
"""Invented people; a worker at one mailbox, which has no viewer; floors that know no people."""


@dataclass(frozen=True)
class Candidate:
    """A question, where it is asked, and the file's text without it."""

    file: str
    function: str
    what: str
    span: tuple[int, int]
    without: str = ""
    gate: str = ""
    """The view that a decorator keeps, when that is the question."""

    @property
    def key(self) -> str:
        return f"{self.file} {self.gate or self.function} {self.what}"

    @property
    def text(self) -> str:
        """The whole file, with `without` where the question stands."""
        whole = (ROOT / "postern" / self.file).read_text()
        return whole[: self.span[0]] + self.without + whole[self.span[1] :]


@cache
def candidates() -> dict[str, Candidate]:
    """Every candidate by its key; the second of a kind in one function has a number."""
    found: list[Candidate] = []
    for path in sorted((ROOT / "postern").rglob("*.py")):
        file = str(path.relative_to(ROOT / "postern"))
        if file.split("/")[0] not in ELSEWHERE and "/migrations/" not in file:
            found += read(file, path.read_text())
    times: Counter[str] = Counter()
    named = {}
    for one in found:
        times[one.key] += 1
        named[one.key + (f" {times[one.key]}" if times[one.key] > 1 else "")] = one
    return named


def read(file: str, text: str) -> list[Candidate]:
    """The candidates of one file, in order."""
    reader = _Reader(file, text)
    reader.visit(ast.parse(text))
    return sorted(reader.found, key=lambda one: one.span)


class _Reader(ast.NodeVisitor):
    """Walks a file, and knows in which function it is."""

    def __init__(self, file: str, text: str) -> None:
        self.file, self.found = file, []
        self._place: list[str] = []
        self._lines = text.splitlines(keepends=True)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._inside(node, node.name)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for gate in node.decorator_list:
            if isinstance(gate, ast.Name) and gate.id in GATES:
                view = ".".join([*self._place, node.name])
                self.found.append(Candidate(self.file, gate.id, f"@{gate.id}", self._span(gate), gate=view))
        self._inside(node, node.name, "<locals>")

    visit_AsyncFunctionDef = visit_FunctionDef

    def _inside(self, node: ast.AST, *names: str) -> None:
        self._place += names
        self.generic_visit(node)
        del self._place[-len(names) :]

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if isinstance(node.func, ast.Attribute) and (
            name in NARROWERS or (name in MANAGERS and ast.unparse(node.func.value).endswith(".objects"))
        ):
            self._note(node, name, f"{ast.unparse(node.func.value)}.all()")
        elif name in ANSWERS:
            self._note(node, name, f"({ast.unparse(node)} or True)")
        elif name in OWN and len(node.args) > OWN[name] and ast.unparse(node.args[0]) != "request":
            self._note(node, name, ast.unparse(node.args[OWN[name]]))
        elif name in FILTERS:
            for keyword in node.keywords:
                if keyword.arg in PERSONS:
                    self._note(node, f"{name}({keyword.arg}=)", _less(node, keyword))
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        sides = [node.left, *node.comparators]
        whose = [s.attr for s in sides if isinstance(s, ast.Attribute) and s.attr in WHOSE]
        if whose and len(sides) == 2 and not any(isinstance(s, ast.Constant) for s in sides):
            yes = isinstance(node.ops[0], ast.Eq | ast.In | ast.Is)
            told = f"({ast.unparse(node)} {'or True' if yes else 'and False'})"
            self._note(node, f"{whose[0]} {'==' if yes else '!='}", told)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr == "is_super":
            self._note(node, "is_super", f"({ast.unparse(node)} or True)")
        self.generic_visit(node)

    def _note(self, node: ast.expr, what: str, without: str) -> None:
        function = ".".join(self._place).removesuffix(".<locals>")
        self.found.append(Candidate(self.file, function, what, self._span(node), without))

    def _span(self, node: ast.expr) -> tuple[int, int]:
        return self._at(node.lineno, node.col_offset), self._at(
            node.end_lineno or 0, node.end_col_offset or 0
        )

    def _at(self, line: int, column: int) -> int:
        """The place in the text; ast counts columns in bytes."""
        before = self._lines[line - 1].encode()[:column].decode()
        return sum(map(len, self._lines[: line - 1])) + len(before)


def _less(call: ast.Call, keyword: ast.keyword) -> str:
    """The call without that keyword; a Q of nothing else takes every row."""
    rest = [one for one in call.keywords if one is not keyword]
    if not rest and not call.args and ast.unparse(call.func) == "Q":
        return "Q(pk__isnull=False)"
    return ast.unparse(ast.Call(call.func, call.args, rest))


@contextmanager
def taken_away(one: Candidate) -> Iterator[None]:
    """Let the program run without that question, in this process."""
    path = str(ROOT / "postern" / one.file)
    if one.gate:
        changed = _guarding(path, one)
        new: CodeType = _open.__code__
    else:
        changed = {function: function.__code__ for function in _functions(path, one.function)}
        new = _code_of(compile(one.text, path, "exec"), one.function)
    assert changed, f"no function {one.function} of {one.file} was loaded"
    for function in changed:
        function.__code__ = new
    try:
        yield
    finally:
        for function, code in changed.items():
            function.__code__ = code


def _guarding(path: str, one: Candidate) -> dict[FunctionType, CodeType]:
    """What the decorator put around that view, to be replaced by what asks nothing."""
    every = [f for f in gc.get_objects() if type(f) is FunctionType and f.__closure__]
    inner = [f for f in every if f.__code__.co_qualname.startswith(f"{one.function}.<locals>.")]
    views = [f for f in inner if inspect.unwrap(f).__code__.co_qualname == one.gate]
    return {f: f.__code__ for f in views if inspect.unwrap(f).__code__.co_filename == path}


def _unguarded(view: Any) -> Any:
    def guarded(request: Any, *args: Any, **kwargs: Any) -> Any:
        return view(request, *args, **kwargs)

    return guarded


_open = _unguarded(None)


def _functions(path: str, name: str) -> list[FunctionType]:
    """The functions of that code, those that a decorator made among them."""
    every = [one for one in gc.get_objects() if type(one) is FunctionType]
    return [f for f in every if f.__code__.co_qualname == name and f.__code__.co_filename == path]


def _code_of(code: CodeType, name: str) -> CodeType:
    for one in code.co_consts:
        if isinstance(one, CodeType):
            if one.co_qualname == name:
                return one
            if name.startswith(one.co_qualname + "."):
                return _code_of(one, name)
    raise LookupError(name)


if __name__ == "__main__":
    for key, found in candidates().items():
        print(f"{key}\n    {found.without}")
