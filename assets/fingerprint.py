"""Fingerprints of code: what a stage's result depends on, without comments and formatting."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

import grimp

from storage.whole import write_whole

FIRST_PARTY = ("ops", "storage", "assets")
_TICK = 2_000_000_000  # ns
_Definitions = dict[str, ast.stmt]
_SCOPES = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)


def fingerprint(hashes: dict[str, str]) -> str:
    """One short hash of what :meth:`Code.of` returns."""
    return hashlib.sha256(repr(sorted(hashes.items())).encode()).hexdigest()[:16]


class Code:
    """The code of this project as it stands on the disk at one moment.

    What counts for a function: its own body and the definitions and constants of its module that
    it uses, without decorators and type hints; every module of the project that those import, and
    all that these import in turn, at the top or inside a function, also by a module's name in a
    string (as ``importlib`` takes it), but not for type checkers only; the ``__init__`` of their
    packages; and data files beside them (whatever is not Python) that a string in them names, by
    its name, its path relative to the module or to the top package, its folder or a pattern.
    """

    _latest: Code | None = None

    def __init__(self, files: dict[Path, tuple[int, int, int]]) -> None:
        self._files = files
        self._read: dict[str, tuple[str, frozenset[str]]] = {}
        self._reached: dict[str, frozenset[str]] = {}
        self._known: dict[str, dict[str, str]] = {}
        self._new = False
        self.recalled = False
        """Whether :meth:`recall` was called; it need not be twice."""

    @classmethod
    def read(cls) -> Code:
        """The code on the disk now; looking again costs milliseconds where nothing changed."""
        files = {path: _stamp(path) for root in _roots() for path in _walk(root)}
        if cls._latest is None or cls._latest._files != files:
            cls._latest = cls(files)
        return cls._latest

    def recall(self, memory: Path) -> None:
        """Take what :meth:`remember` wrote about this very code, if it did."""
        self.recalled = True
        try:
            told = json.loads(memory.read_text("utf-8"))
            if told["stamp"] == self.stamp:
                self._known = {**told["known"], **self._known}
        except (OSError, ValueError, KeyError, TypeError):
            return

    def remember(self, memory: Path) -> None:
        """Write what was found out, in one step, for later processes.

        Not where a file was changed just now: another change in the same tick of the clock would
        not be seen by its time. Nor where the folder does not exist or may not be written.
        """
        newest = max((max(s[0], s[1]) for s in self._files.values()), default=0)
        if not self._new or newest + _TICK > time.time_ns():
            return
        # What stands in other packages is not covered by the stamp.
        mine = {k: v for k, v in self._known.items() if k.split(".")[0] in FIRST_PARTY}
        with suppress(OSError):
            write_whole(memory, json.dumps({"stamp": self.stamp, "known": mine}))
            self._new = False

    @cached_property
    def stamp(self) -> str:
        """One hash of which files there are and when they were changed."""
        told = repr(sorted((str(p), s) for p, s in self._files.items()))
        return hashlib.sha256(told.encode()).hexdigest()

    def of(self, function: Callable[..., object]) -> dict[str, str]:
        """What a function runs: hashes by module name, its own parts under ``module:name``."""
        key = f"{function.__module__}:{function.__name__}"
        if key not in self._known:
            self._known[key] = self._of(function.__module__, function.__name__)
            self._new = True
        return dict(self._known[key])

    def of_module(self, name: str) -> dict[str, str]:
        """Hashes of a module and of all that it reaches, by module name."""
        if name not in self._known:
            self._known[name] = self._of_modules([name])
            self._new = True
        return dict(self._known[name])

    def _of_modules(self, names: Iterable[str]) -> dict[str, str]:
        reached = frozenset[str]().union(*(self._closure(name) for name in names))
        return {name: self._hash(name) for name in sorted(reached)}

    def newest(self, hashes: dict[str, str]) -> float:
        """When the last of these modules was changed, seconds since 1970 by the file's own mark."""
        stamps = [self._files.get(self._path(name.partition(":")[0])) for name in hashes]
        return max((s[0] for s in stamps if s is not None), default=0) / 1e9

    def _of(self, module: str, name: str) -> dict[str, str]:
        definitions, imported = _top_level(self._tree(module), module)
        pending, seen, reached = [name], set[str](), set[str]()
        hashes = {}
        while pending:
            name = pending.pop()
            if name in seen or name not in definitions:
                continue
            seen.add(name)
            node = _without_annotations(definitions[name])
            hashes[f"{module}:{name}"] = _tree_hash(node)
            used = set(_identifiers(node)) - _locals(node)
            used |= {name for default in _defaults(node) for name in _identifiers(default)}
            pending += sorted(used)
            reached |= {imported[u] for u in used if u in imported}
            reached |= set(_imports(node, module).values())
            strings = _strings(node)
            reached |= strings & self._graph.modules
            hashes |= self._data(strings, module)
        return dict(sorted((hashes | self._of_modules(reached)).items()))

    def _closure(self, name: str) -> frozenset[str]:
        """A module (or the one that a name stands in), its packages and all that they import."""
        known = self._graph.modules
        name = name if name in known else name.rpartition(".")[0]
        if name not in known:
            return frozenset()
        if name not in self._reached:
            seen, pending = set[str](), [name]
            while pending:
                module = pending.pop()
                if module in seen:
                    continue
                seen.add(module)
                pending += self._graph.find_modules_directly_imported_by(module)
                pending += self._module(module)[1] & known
                pending += [p for p in (module.rpartition(".")[0],) if p]
            self._reached[name] = frozenset(seen)
        return self._reached[name]

    @cached_property
    def _graph(self) -> grimp.ImportGraph:
        return grimp.build_graph(*FIRST_PARTY, cache_dir=None, exclude_type_checking_imports=True)

    def _hash(self, module: str) -> str:
        return self._module(module)[0]

    def _module(self, module: str) -> tuple[str, frozenset[str]]:
        """Hash of a module's syntax tree and of the data files it names, and all its strings."""
        if module not in self._read:
            tree = self._tree(module)
            strings = _strings(tree)
            data = self._data(strings, module)
            own = _tree_hash(tree)
            self._read[module] = (fingerprint({"": own, **data}) if data else own, strings)
        return self._read[module]

    def _data(self, strings: frozenset[str], module: str) -> dict[str, str]:
        """Hashes of the data files that some of the strings in a module name."""
        files = [path for path in self._files if path.suffix != ".py"]
        if not files:
            return {}
        first = module.split(".")[0]
        bases = [self._path(module).parent, *(root for root in _roots() if root.name == first)]
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16]
            for path in files
            if any(_names(text, path, base) for text in strings for base in bases)
        }

    def _tree(self, module: str) -> ast.Module:
        """The syntax tree, for the caller to take apart; strings that are statements left out."""
        path = self._path(module)
        text = path.read_text("utf-8") if path.is_file() else ""
        return _without_docstrings(ast.parse(text))

    def _path(self, module: str) -> Path:
        first, *rest = module.split(".")
        root = next((root for root in _roots() if root.name == first), None)
        if root is None:
            return Path(sys.modules[module].__file__ or "")
        place = root.joinpath(*rest)
        return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def _roots() -> list[Path]:
    found = [importlib.util.find_spec(name) for name in FIRST_PARTY]
    return [Path(p) for s in found if s for p in s.submodule_search_locations or ()]


def _walk(folder: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda e: e.name):
        if entry.name.startswith((".", "__pycache__")) or entry.name.endswith((".pyc", "~")):
            continue
        if entry.is_dir():
            yield from _walk(Path(entry.path))
        else:
            yield Path(entry.path)


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        stat = path.stat()
    except OSError:  # an editor's temporary file, gone by now
        return (0, 0, 0)
    return (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size)


def _names(text: str, path: Path, base: Path) -> bool:
    """Whether a string names a data file: by name, relative path, folder or pattern."""
    if not text or "\n" in text or not path.is_relative_to(base):
        return False
    relative = path.relative_to(base).as_posix()
    pattern = any(c in text for c in "*?[") and text.strip("*/?")
    return (
        text in (path.name, relative)
        or relative.startswith(f"{text.rstrip('/')}/")
        or bool(pattern and (fnmatchcase(relative, text) or fnmatchcase(path.name, text)))
    )


def _strings(node: ast.AST) -> frozenset[str]:
    constants = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
    return frozenset(value for value in constants if isinstance(value, str))


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """The tree without strings that are statements: docstrings, also those of attributes."""
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if isinstance(body, list):
                kept = [part for part in body if not _only_says(part)]
                setattr(node, name, kept or ([ast.Pass()] if body else []))
    return tree


def _only_says(node: ast.AST) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _top_level(tree: ast.Module, module: str) -> tuple[_Definitions, dict[str, str]]:
    """Definitions and constants of a module by name, and the first-party names it imports."""
    definitions: _Definitions = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            definitions[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            definitions |= {t.id: node for t in targets if isinstance(t, ast.Name)}
    top = ast.Module([n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)], [])
    return definitions, _imports(top, module)


def _imports(node: ast.AST, module: str) -> dict[str, str]:
    """First-party modules (or names in them) that a piece of code imports, by the local name."""
    found = {}
    for part in ast.walk(node):
        if isinstance(part, ast.ImportFrom):
            above = module.split(".")[: -part.level] if part.level else []
            source = ".".join([*above, *([part.module] if part.module else [])])
            for alias in part.names:
                found[alias.asname or alias.name] = f"{source}.{alias.name}"
        elif isinstance(part, ast.Import):
            for alias in part.names:
                found[alias.asname or alias.name.split(".")[0]] = alias.name
    return {k: v for k, v in found.items() if v.split(".")[0] in FIRST_PARTY}


def _identifiers(node: ast.AST) -> Iterator[str]:
    return (part.id for part in ast.walk(node) if isinstance(part, ast.Name))


def _defaults(node: ast.stmt) -> list[ast.expr]:
    """Defaults of parameters: they are read in the module, whatever the parameters are called."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return []
    return [*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]


def _locals(node: ast.stmt) -> set[str]:
    """Names that a function binds itself: its parameters, and what it assigns outside inner scopes.

    They are not those of the module, even where that has the same.
    """
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return set()
    told = node.args
    every = [*told.posonlyargs, *told.args, *told.kwonlyargs, told.vararg, told.kwarg]
    bound, elsewhere = {a.arg for a in every if a is not None}, set[str]()
    pending: list[ast.AST] = list(node.body)
    while pending:
        part = pending.pop()
        if isinstance(part, ast.Global | ast.Nonlocal):
            elsewhere |= set(part.names)
        elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            bound.add(part.id)
        if not isinstance(part, _SCOPES):
            pending += ast.iter_child_nodes(part)
    return bound - elsewhere


def _without_annotations(node: ast.stmt) -> ast.stmt:
    """A function without the types in its signature: they are for readers and checkers."""
    for part in ast.walk(node):
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            part.returns = None
            for argument in [*part.args.args, *part.args.kwonlyargs, *part.args.posonlyargs]:
                argument.annotation = None
    return node


def _tree_hash(tree: ast.AST) -> str:
    """Hash of a syntax tree without positions and the decorators of its root."""
    if isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef):
        tree.decorator_list = []
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]
