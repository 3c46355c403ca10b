"""Writer of `channel_adapter/sync.pyi`, the interface of SyncChannelAdapter, from asynchronous classes.

Run `python -m tests.sync.interface` after a public method or part of ChannelAdapter was added or changed.
"""

import ast
import inspect
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, get_overloads

from channel_adapter.adapter import ChannelAdapter
from channel_adapter.sync import INTERNAL, SyncChannelAdapter

STUB = Path(sys.modules[SyncChannelAdapter.__module__].__file__ or "").with_suffix(".pyi")
HEAD = '"""Interface of SyncChannelAdapter. Written by `python -m tests.sync.interface`; do not edit."""\n'
LISTS = {"AsyncGenerator", "AsyncIterator", "EventStream"}
"""Return types that become SyncIterator of their first argument."""
RESUMABLE: dict[str, Callable[[list[ast.expr]], list[ast.expr]]] = {
    "Pages": lambda of: of,
    "ConcurrentMap": lambda of: [of[1], ast.Name("int")],
}
"""Return types that become SyncPages, and the types of its items and of its cursor."""


def public(kind: type) -> list[str]:
    """Return the public attributes of a class."""
    return [name for name in dir(kind) if not name.startswith("_") and name not in INTERNAL]


def parts() -> dict[str, type]:
    """Return the classes of the adapter's parts by name, in the order of the source."""
    tree = _class(ChannelAdapter)
    found: dict[str, type] = {}
    homes = imports_of(ChannelAdapter.__module__)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in public(ChannelAdapter) and _is_property(node):
            assert isinstance(node.returns, ast.Name)
            found[node.name] = getattr(import_module(homes[node.returns.id]), node.returns.id)
    return found


def methods(kind: type) -> dict[str, Any]:
    """Return the public methods and properties of a class."""
    return {name: inspect.getattr_static(kind, name) for name in sorted(public(kind))}


class Interface:
    """Declarations of blocking classes, and their imports."""

    def __init__(self) -> None:
        self._imports: dict[str, str] = {"SyncIterator": BLOCKING, "SyncPages": BLOCKING}
        self._used: set[str] = set()

    def text(self) -> str:
        """Return the whole file, formatted."""
        classes = [self._root(), *(self._part(kind) for kind in parts().values() if not is_dataclass(kind))]
        body = "\n\n".join(ast.unparse(node) for node in classes)
        used = ((self._imports[name], name) for name in sorted(self._used & {*self._imports}))
        imports = "\n".join(f"from {module} import {name}" if module else f"import {name}" for module, name in used)
        return formatted(f"{HEAD}\n{imports}\n\nINTERNAL: frozenset[str]\n\n{body}\n")

    def _root(self) -> ast.ClassDef:
        own = _class(SyncChannelAdapter)
        self._learn(SyncChannelAdapter.__module__)
        kept = [node for node in own.body if isinstance(node, ast.FunctionDef) and node.name not in UNDECLARED]
        attributes = [ast.parse("settings: Settings").body[0]]
        for name, kind in parts().items():
            attributes += self._property(name, kind)
        calls = [
            declared
            for name, method in methods(ChannelAdapter).items()
            if inspect.isfunction(method)
            for declared in self._declare(method)
        ]
        for node in kept:
            node.body = _documentation(node)
            self._note(node)
        self._used.add("Settings")
        docstring = own.body[:1]
        return ast.ClassDef(own.name, [], [], [*docstring, *attributes, *kept, *calls], [], **TYPE_PARAMETERS)

    def _property(self, name: str, kind: type) -> list[ast.stmt]:
        documented = inspect.getattr_static(ChannelAdapter, name)
        declared = kind.__name__ if is_dataclass(kind) else _blocking_name(kind)
        source = f"@property\ndef {name}(self) -> {declared}:\n    ...\n"
        (node,) = ast.parse(source).body
        assert isinstance(node, ast.FunctionDef)
        node.body = [ast.Expr(ast.Constant(_indented(inspect.getdoc(documented) or "", 8)))]
        self._learn(ChannelAdapter.__module__)
        self._note(node)
        return [node]

    def _part(self, kind: type) -> ast.ClassDef:
        body: list[ast.stmt] = [ast.Expr(ast.Constant(_indented(inspect.getdoc(kind) or "")))]
        for method in methods(kind).values():
            body += self._declare(method)
        return ast.ClassDef(_blocking_name(kind), [], [], body, [], **TYPE_PARAMETERS)

    def _declare(self, method: Any) -> Iterator[ast.FunctionDef]:
        """Yield the blocking declaration of a method or property: one for each overload."""
        function: Any = method.fget if isinstance(method, property) else method
        for each in get_overloads(function) or [function]:
            node = ast.parse(textwrap.dedent(inspect.getsource(each))).body[0]
            assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            self._learn(function.__module__)
            yield self._converted(node)

    def _converted(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.FunctionDef:
        names = [_name(each) for each in node.decorator_list]
        returns = _blocking_type(node.returns)
        if "asynccontextmanager" in names and isinstance(returns, ast.Subscript):
            returns = ast.Subscript(ast.Name("AbstractContextManager"), returns.slice)
            self._imports["AbstractContextManager"] = "contextlib"
        kept = [ast.Name(name) for name in names if name in ("overload", "property")]
        arguments = node.args
        arguments.defaults = [_default(each) for each in arguments.defaults]
        arguments.kw_defaults = [None if each is None else _default(each) for each in arguments.kw_defaults]
        declared = ast.FunctionDef(
            node.name, arguments, _documentation(node), [*kept], returns, **TYPE_PARAMETERS, lineno=0
        )
        self._note(declared)
        return declared

    def _learn(self, module: str) -> None:
        """Add the modules of the names that a module uses."""
        self._imports = {**imports_of(module), **self._imports}

    def _note(self, node: ast.AST) -> None:
        self._used |= {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


BLOCKING = "channel_adapter.concurrency.blocking"
UNDECLARED = {"__init__", "__getattr__", "__dir__", "__repr__"}
TYPE_PARAMETERS: dict[str, Any] = {} if sys.version_info < (3, 12) else {"type_params": []}


@cache
def imports_of(module: str) -> dict[str, str]:
    """Return the modules of the names that a module imports or defines; "" for modules."""
    tree = ast.parse(inspect.getsource(import_module(module)))
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found |= {each.asname or each.name: str(node.module) for each in node.names}
        elif isinstance(node, ast.Import):
            found |= {each.name: "" for each in node.names}
    for top in tree.body:
        if isinstance(top, ast.ClassDef):
            found[top.name] = module
        elif isinstance(top, ast.Assign) and isinstance(top.targets[0], ast.Name):
            found[top.targets[0].id] = module
    return found


def _class(kind: type) -> ast.ClassDef:
    node = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(node, ast.ClassDef)
    return node


def _is_property(node: ast.FunctionDef) -> bool:
    return any(_name(each) in ("_part", "cached_property", "property") for each in node.decorator_list)


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _blocking_name(kind: type) -> str:
    return f"_Sync{kind.__name__}"


def _blocking_type(node: ast.expr | None) -> ast.expr | None:
    """Return a return type with iterators in place of asynchronous ones."""
    if not (isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name)):
        return node
    of = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if node.value.id in LISTS:
        return ast.Subscript(ast.Name("SyncIterator"), of[0])
    if node.value.id in RESUMABLE:
        return ast.Subscript(ast.Name("SyncPages"), ast.Tuple(RESUMABLE[node.value.id](of)))
    return node


def _default(node: ast.expr) -> ast.expr:
    return node if isinstance(node, ast.Constant) else ast.Constant(...)


def _documentation(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.stmt]:
    documented = ast.get_docstring(node)
    return [ast.Expr(ast.Constant(... if documented is None else _indented(documented, 8)))]


def _indented(text: str, by: int = 4) -> str:
    """Return a docstring as in source code: later lines indented, closing quotes on their own line."""
    if "\n" not in text:
        return text
    return textwrap.indent(text, " " * by).strip() + "\n" + " " * by


def formatted(text: str) -> str:
    """Return a stub file in the style of this project."""
    ruff = [str(Path(sys.executable).with_name("ruff"))]
    name = ["--stdin-filename", str(STUB)]
    sorted_text = subprocess.run(
        [*ruff, "check", "--quiet", "--select", "I,F401", "--fix", *name, "-"],
        input=text, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return subprocess.run(
        [*ruff, "format", *name, "-"], input=sorted_text, capture_output=True, text=True, check=True
    ).stdout


if __name__ == "__main__":
    STUB.write_text(Interface().text(), encoding="utf-8")
