"""Builds the package for OptunaHub, which needs Optuna and none of this library's other parts.

    python optunahub/build.py OUT

`OUT/regularized_evolution` is the folder that the registry takes: the text, example and tests that
lie here, and the modules of `nasrec_opt` that the sampler imports, however far. In those nothing is
changed but how they import each other: by relative paths, and each name from the module that
defines it, so that what a package's `__init__` offers besides is not needed.
"""

from __future__ import annotations

import ast
import shutil
import sys
from pathlib import Path
from typing import TypeGuard

HERE = Path(__file__).resolve().parent
NAME = "regularized_evolution"
LIBRARY = "nasrec_opt"
SAMPLER = f"{LIBRARY}.samplers._evolution"
COPIES = f"_{LIBRARY}"  # folder of the modules in the package
ALLOWED = {*sys.stdlib_module_names, "numpy", "optuna"}  # when a module is loaded
INIT = '''"""Regularized (ageing) evolution; made from nasrec-opt by optunahub/build.py."""

from .{copies}.samplers._evolution import RegularizedEvolutionSampler

__all__ = ["RegularizedEvolutionSampler"]
'''


def build(out: Path) -> Path:
    """Write the package; one that is there is replaced.

    Args:
        out: The folder to write it into.

    Returns:
        The folder of the package.

    Raises:
        ValueError: A module needs another package than NumPy and Optuna as soon as it is loaded.
    """
    package = out / NAME
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(HERE / NAME, package, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    (package / "__init__.py").write_text(INIT.format(copies=COPIES), encoding="utf-8")
    for module, text in sorted(_modules().items()):
        file = package / COPIES / Path(*module.split(".")[1:]).with_suffix(".py")
        for folder in (file.parent, package / COPIES):
            folder.mkdir(exist_ok=True)
            (folder / "__init__.py").write_text("", encoding="utf-8")
        file.write_text(text, encoding="utf-8")
    return package


def _modules() -> dict[str, str]:
    """The rewritten text of every module that the sampler needs, by name."""
    found: dict[str, str] = {}
    waiting = [SAMPLER]
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found[module], needed = _rewritten(module)
        waiting += needed
    return found


def _rewritten(module: str) -> tuple[str, set[str]]:
    """The text of a module with relative imports, and the modules that it needs."""
    text = _file(module).read_text(encoding="utf-8")
    tree, lines, needed = ast.parse(text), text.splitlines(), set()
    for_types = _for_types_alone(tree)
    _check_third_parties(module, tree)
    dots = "." * module.count(".")
    ours = sorted(filter(_is_ours, ast.walk(tree)), key=lambda node: node.lineno)
    for node in reversed(ours):  # the lines above stay where they are
        names_from: dict[str, list[str]] = {}
        for alias in node.names:
            home, imported, where = _home(node.module or "", alias.name)
            renamed = alias.asname or alias.name
            names = names_from.setdefault(dots + where.removeprefix(LIBRARY).lstrip("."), [])
            names.append(imported if imported == renamed else f"{imported} as {renamed}")
            if node not in for_types:
                needed.add(home)
        indent = " " * node.col_offset
        lines[node.lineno - 1 : node.end_lineno] = [
            f"{indent}from {source} import {', '.join(names)}"
            for source, names in names_from.items()
        ]
    return "\n".join(lines) + "\n", needed


def _home(module: str, name: str) -> tuple[str, str, str]:
    """Where a name comes from: the module that it needs, its name there, and whence to import it.

    Args:
        module: What it is imported from, a package perhaps.
        name: A name that is defined there or passed on, or that of a module in the package.
    """
    if _file(f"{module}.{name}").is_file():
        return f"{module}.{name}", name, module
    package = _file(f"{module}.__init__")
    if not package.is_file():
        return module, name, module
    for node in filter(_is_ours, ast.parse(package.read_text(encoding="utf-8")).body):
        for alias in node.names:
            if (alias.asname or alias.name) == name:
                return _home(node.module or "", alias.name)
    raise ValueError(f"{package}: expected an import of {name}, found none")


def _is_ours(node: ast.AST) -> TypeGuard[ast.ImportFrom]:
    return isinstance(node, ast.ImportFrom) and (node.module or "").startswith(LIBRARY)


def _file(module: str) -> Path:
    return HERE.parent / Path(*module.split(".")).with_suffix(".py")


def _for_types_alone(tree: ast.AST) -> set[ast.AST]:
    """The imports below `if TYPE_CHECKING`."""
    return {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }


def _check_third_parties(module: str, tree: ast.Module) -> None:
    for node in tree.body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            if name.partition(".")[0] not in {*ALLOWED, LIBRARY}:
                raise ValueError(
                    f"{module}: expected imports of NumPy and Optuna alone, got {name}"
                )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(build(Path(sys.argv[1])))
