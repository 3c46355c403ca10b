"""Structure of the package: no import cycles, unique class names, small constructors."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "channel_adapter"
CONSTRUCTOR_ARGUMENTS = 6
STUB_SERVER = "channel_adapter.stub.server.StubServer"
"""Its arguments are the options of the command `stub`."""

Trees = dict[str, ast.Module]


@pytest.fixture(scope="module")
def trees() -> Trees:
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name != "__init__.py"  # a package that only re-exports names is not counted
    }


def imports_of(name: str, trees: Trees) -> set[str]:
    """Return the modules that a module imports anywhere, including imports for type checking only."""
    targets: set[str] = set()
    for node in ast.walk(trees[name]):
        if isinstance(node, ast.Import):
            targets |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            targets |= {f"{node.module}.{each.name}" for each in node.names} | {str(node.module)}
    return {target for target in targets if target in trees} - {name}


def test_modules_have_no_import_cycles(trees: Trees) -> None:
    edges = {name: imports_of(name, trees) for name in trees}

    def reached_from(name: str) -> set[str]:
        reached: set[str] = set()
        waiting = list(edges[name])
        while waiting:
            module = waiting.pop()
            if module not in reached:
                reached.add(module)
                waiting += edges[module]
        return reached

    assert [name for name in edges if name in reached_from(name)] == []


def test_class_names_are_unique_in_the_package(trees: Trees) -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for module, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(module)
    assert {name: modules for name, modules in places.items() if len(modules) > 1} == {}


def test_constructors_have_at_most_six_arguments(trees: Trees) -> None:
    found = {}
    for module, tree in trees.items():
        for node in ast.walk(tree):
            for item in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(item, ast.FunctionDef) and item.name == "__init__":
                    arguments = item.args.posonlyargs + item.args.args + item.args.kwonlyargs
                    found[f"{module}.{node.name}"] = len(arguments) - 1  # type: ignore[attr-defined]
    del found[STUB_SERVER]
    assert {name: count for name, count in found.items() if count > CONSTRUCTOR_ARGUMENTS} == {}


def test_services_contain_no_mode_names_or_id_prefixes() -> None:
    names = re.compile(r"@TGS#|@TOA#|communit|official", re.IGNORECASE)
    texts = {path: path.read_text(encoding="utf-8") for path in (PACKAGE / "services").rglob("*.py")}
    assert [str(path) for path, text in texts.items() if names.search(text)] == []
