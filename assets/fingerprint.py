"""Fingerprints of code: what a stage's result depends on, without comments and formatting."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import grimp

FIRST_PARTY = ("ops", "storage", "assets")


@cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph(*FIRST_PARTY, cache_dir=None)


@cache
def module_hash(module: str) -> str:
    """Hash of a module's syntax tree without docstrings; comments and layout do not count."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    return _tree_hash(ast.parse(Path(spec.origin).read_text("utf-8")))


def code_of(function: Callable[..., object]) -> dict[str, str]:
    """What a stage's function runs: a hash for its own body and for every module it reaches.

    The body counts with the definitions of its own module that it uses, without decorators. Of
    the modules it imports (at the top of its module and used, or inside its body) all that they
    import counts as well, in the packages of this project.

    Returns:
        Hashes by module name; the function's own under ``module:name``.
    """
    module = sys.modules[function.__module__]
    definitions, imported = _top_level(ast.parse(inspect.getsource(module)), module.__name__)
    pending, seen, reached = [function.__name__], set[str](), set[str]()
    hashes = {}
    while pending:
        name = pending.pop()
        if name in seen or name not in definitions:
            continue
        seen.add(name)
        node = _without_annotations(definitions[name])
        hashes[f"{module.__name__}:{name}"] = _tree_hash(node)
        used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        pending += sorted(used)
        reached |= {imported[u] for u in used if u in imported}
        reached |= set(_imports(node, module.__name__).values())
    graph = _graph()
    everything = set[str]()
    for name in reached:
        name = name if name in graph.modules else name.rpartition(".")[0]
        if name in graph.modules:
            everything |= {name, *graph.find_upstream_modules(name)}
    hashes |= {name: module_hash(name) for name in everything}
    return dict(sorted(hashes.items()))


def fingerprint(hashes: dict[str, str]) -> str:
    """One short hash of :func:`code_of`."""
    return hashlib.sha256(repr(sorted(hashes.items())).encode()).hexdigest()[:16]


def _top_level(tree: ast.Module, module: str) -> tuple[dict[str, ast.stmt], dict[str, str]]:
    """Definitions and constants of a module by name, and the first-party names it imports."""
    definitions: dict[str, ast.stmt] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
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
        if isinstance(part, ast.ImportFrom) and part.module and not part.level:
            for alias in part.names:
                found[alias.asname or alias.name] = f"{part.module}.{alias.name}"
        elif isinstance(part, ast.Import):
            for alias in part.names:
                found[alias.asname or alias.name.split(".")[0]] = alias.name
    return {k: v for k, v in found.items() if v.split(".")[0] in FIRST_PARTY}


def _without_annotations(node: ast.stmt) -> ast.stmt:
    """A function without the types in its signature: they are for readers and checkers."""
    for part in ast.walk(node):
        if isinstance(part, ast.FunctionDef):
            part.returns = None
            for argument in [*part.args.args, *part.args.kwonlyargs, *part.args.posonlyargs]:
                argument.annotation = None
    return node


def _tree_hash(tree: ast.AST) -> str:
    """Hash of a syntax tree without docstrings, decorators of the root and positions."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
            and isinstance(body[0].value.value, str)
        ):
            node.body = body[1:] or [ast.Pass()]
    if isinstance(tree, ast.FunctionDef):
        tree.decorator_list = []
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]
