"""Names a version of code by what is in it: a digest of a module and of all it imports from this repository."""

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

from bench.environment import ROOT

DATA_SUFFIXES = (".yaml", ".yml", ".json", ".toml", ".csv")


def digest(*files: Path, root: Path = ROOT) -> str:
    """SHA-256 over the names (below `root`) and the bytes of files, in order of their names."""
    found = hashlib.sha256()
    for name, file in sorted((file.relative_to(root).as_posix(), file) for file in files):
        content = file.read_bytes()
        found.update(f"{name} {len(content)}\n".encode() + content)
    return found.hexdigest()


def reached(module: str, root: Path = ROOT) -> set[Path]:
    """The files of a module and of every module below `root` that it imports, at its top or within a function."""
    todo, found = list(_files(module, root)), set[Path]()
    while todo:
        file = todo.pop()
        if file in found:
            continue
        found.add(file)
        for name in _imported(file):
            todo += _files(name, root)
    return found


def data_files(package: Path) -> set[Path]:
    """Files of a package that are no code, scenarios among them."""
    return {file for file in package.rglob("*") if file.suffix in DATA_SUFFIXES}


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)  # a module, or a name within one


def _files(module: str, root: Path) -> Iterator[Path]:
    """A module's file and those of the packages it lies in; nothing for what is not below `root`."""
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:depth])
        for file in (place / "__init__.py", place.with_suffix(".py")):
            if file.is_file():
                yield file
