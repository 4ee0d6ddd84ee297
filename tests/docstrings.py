"""Which docstrings lack a section: everything that an `__all__` of the two packages reaches.

`python tests/docstrings.py` prints the counts and what is missing, package by package.
"""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import inspect
import pkgutil
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any, NamedTuple

ROOTS = ("nasrec_opt", "hw")
SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises|Examples?|References):$", re.M)
ENTRY = re.compile(r"^    \*{0,2}([\w.]+)(?: \(.*?\))?:", re.M)
NO_VALUE = ("None", "NoReturn", "Never")
HOSTS_ERRORS = ("NotImplementedError", "AttributeError", "AssertionError", "StopIteration")


class Public(NamedTuple):
    """A callable that a user can reach.

    Args:
        name: Package, class and name, with dots.
        value: The class or function.
        owner: Its class, or None for a function or a class.
        is_property: Whether it is read without a call.
    """

    name: str
    value: Any
    owner: type | None = None
    is_property: bool = False


@dataclass(frozen=True)
class Finding:
    """What a docstring has, of what its callable needs."""

    public: Public
    needed: frozenset[str]
    missing: tuple[str, ...]  # sentences
    has_example: bool

    @property
    def lacking(self) -> frozenset[str]:
        """Sections that are needed and incomplete."""
        return frozenset(sentence.split(":")[0] for sentence in self.missing)


def packages() -> list[str]:
    """Modules of the two packages that have an `__all__`, by name."""
    names = []
    for root in ROOTS:
        package = importlib.import_module(root)
        found = pkgutil.walk_packages(package.__path__, f"{root}.")
        for name in [root, *(info.name for info in found)]:
            parts = name.split(".")
            if any(part.startswith("_") for part in parts):
                continue
            module = importlib.import_module(name)
            if hasattr(module, "__all__"):
                names.append(name)
    return names


def publics(package: str) -> Iterator[Public]:
    """Classes and functions in the `__all__` of a package, and public members of those classes."""
    module = importlib.import_module(package)
    for name in module.__all__:
        value = getattr(module, name)
        is_ours = str(getattr(value, "__module__", "")).split(".")[0] in ROOTS
        if inspect.isclass(value) and is_ours:
            yield Public(f"{package}.{name}", value)
            yield from _members(f"{package}.{name}", value)
        elif inspect.isroutine(value) or isinstance(value, functools._lru_cache_wrapper):
            yield Public(f"{package}.{name}", value)


def _members(prefix: str, owner: type) -> Iterator[Public]:
    """Public methods and properties of a class, those of its private bases included."""
    for name in sorted(dir(owner)):
        if name.startswith("_") and name != "__call__":
            continue
        home = next((c for c in owner.__mro__ if name in vars(c)), None)
        if home is None or home.__module__.split(".")[0] not in ROOTS:
            continue
        value = vars(home)[name]
        if isinstance(value, (property, functools.cached_property)):
            function = value.fget if isinstance(value, property) else value.func
            yield Public(f"{prefix}.{name}", function, owner, is_property=True)
            continue
        if isinstance(value, (classmethod, staticmethod)):
            value = value.__func__
        if isinstance(value, FunctionType) and not _is_generated(value):
            yield Public(f"{prefix}.{name}", value, owner)


def _is_generated(function: FunctionType) -> bool:
    """Whether a library wrote it: `_replace` of named tuples, methods of enumerations."""
    return function.__module__.split(".")[0] not in ROOTS or "<" in function.__code__.co_filename


def examine(public: Public) -> Finding:
    """Compare a docstring with the signature and the body that it describes."""
    doc = inspect.cleandoc(public.value.__doc__ or "")
    sections = _sections(doc)
    missing = [] if doc else ["Docstring: none"]
    needed = {"Docstring"}
    if not _is_as_in_host(public):
        if parameters := _parameters(public):
            needed.add("Args")
            named = _entries(sections, "Args")
            known = {*named, *_entries(sections, "Attributes"), *_of_bases(public.value)}
            missing += [f"Args: {name}" for name in parameters if name not in known]
            missing += [f"Args: no parameter {name}" for name in named if name not in parameters]
        if _returns_something(public):
            needed.add("Returns")
            if not {"Returns", "Yields"} & set(sections):
                missing.append("Returns: none")
    if raised := _raised(public):
        needed.add("Raises")
        named = _entries(sections, "Raises")
        missing += [f"Raises: {name}" for name in sorted(raised) if name not in named]
    return Finding(public, frozenset(needed), tuple(missing), ">>>" in doc)


def _sections(doc: str) -> dict[str, str]:
    parts = SECTION.split(doc)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _entries(sections: dict[str, str], *names: str) -> list[str]:
    return [entry for name in names for entry in ENTRY.findall(sections.get(name, ""))]


def _is_as_in_host(public: Public) -> bool:
    """Whether it overrides a method of a class that documents it, with the same parameters.

    Of Optuna, torch or Ax, or one of our own classes and protocols.
    """
    if public.owner is None:
        return False
    name = public.name.rsplit(".", 1)[-1]
    homes = [c for c in public.owner.__mro__ if name in vars(c)]
    for host in homes[1:]:
        hosts = inspect.unwrap(getattr(host, name))
        if not callable(hosts) or not inspect.getdoc(hosts):
            continue
        try:
            theirs = list(inspect.signature(hosts).parameters)
        except ValueError:
            continue
        ours = list(inspect.signature(public.value).parameters)
        if theirs[-len(ours) :] == ours or theirs == ours[-len(theirs) :]:
            return True
    return False


def _parameters(public: Public) -> list[str]:
    value = public.value
    if inspect.isclass(value):
        if getattr(value, "_is_protocol", False) or not _has_constructor(value):
            return []
        signature = inspect.signature(value)
    else:
        signature = inspect.signature(inspect.unwrap(value))
    names = list(signature.parameters)
    if public.owner is not None and names and names[0] in ("self", "cls"):
        names = names[1:]
    return [name for name in names if not name.startswith("_")]


def _has_constructor(cls: type) -> bool:
    home = next(c for c in cls.__mro__ if "__init__" in vars(c) or "__new__" in vars(c))
    return home.__module__.split(".")[0] in ROOTS or issubclass(cls, tuple)


def _of_bases(value: Any) -> list[str]:
    """Parameters that our own bases of a class document."""
    bases = value.__mro__[1:] if inspect.isclass(value) else ()
    docs = [base.__doc__ or "" for base in bases if base.__module__.split(".")[0] in ROOTS]
    return [name for doc in docs for name in _entries(_sections(inspect.cleandoc(doc)), "Args")]


def _returns_something(public: Public) -> bool:
    if inspect.isclass(public.value) or public.is_property:
        return False
    annotation = inspect.signature(inspect.unwrap(public.value)).return_annotation
    return str(annotation) not in NO_VALUE


def _raised(public: Public) -> set[str]:
    """Names of the errors raised in a body, and in those of the private helpers that it calls."""
    value = inspect.unwrap(public.value)
    if not inspect.isclass(value):
        return _raised_in(value, public.owner, set())
    found: set[str] = set()
    for name in ("__init__", "__post_init__", "__new__"):
        method = next((vars(c)[name] for c in value.__mro__ if name in vars(c)), None)
        if isinstance(method, FunctionType) and not _is_generated(method):
            found |= _raised_in(method, value, set())
    return found


def _raised_in(function: Callable[..., Any], owner: type | None, seen: set[Any]) -> set[str]:
    function = inspect.unwrap(function)
    if function in seen or not isinstance(function, FunctionType):
        return set()
    seen.add(function)
    names = vars(builtins) | function.__globals__
    return _raised_below(_tree(function), names, owner, seen) - set(HOSTS_ERRORS)


def _raised_below(
    tree: ast.AST, names: dict[str, Any], owner: type | None, seen: set[Any]
) -> set[str]:
    """Raised by the nodes of a function, without those that a `try` catches."""
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            continue
        if isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if isinstance(raised, ast.Name) and inspect.isclass(names.get(raised.id)):
                found.add(raised.id)
        elif isinstance(node, ast.Call) and (helper := _helper(node.func, names, owner)):
            found |= _raised_in(helper, owner, seen)
        inner = _raised_below(node, names, owner, seen)
        if isinstance(node, ast.Try):
            body = ast.Module(node.body, [])
            rest = ast.Module([*node.handlers, *node.orelse, *node.finalbody], [])
            caught = {n.id for h in node.handlers if h.type for n in ast.walk(h.type)
                      if isinstance(n, ast.Name)}  # fmt: skip
            inner = _raised_below(body, names, owner, set(seen)) - caught
            inner |= _raised_below(rest, names, owner, seen)
        found |= inner
    return found


def _helper(called: ast.expr, names: dict[str, Any], owner: type | None) -> Any:
    """The private function of the same module, or of the same class, that a call names."""
    if isinstance(called, ast.Name) and called.id.startswith("_"):
        return names.get(called.id)
    is_own = isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name)
    if owner and is_own and called.value.id == "self" and called.attr.startswith("_"):
        return inspect.getattr_static(owner, called.attr, None)
    return None


@functools.cache
def _tree(function: FunctionType) -> ast.AST:
    return ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]


def count(findings: list[Finding], section: str) -> str:
    """Complete ones of those that need a section, as a part of a table."""
    needing = [f for f in findings if section in f.needed]
    done = [f for f in needing if section not in f.lacking]
    return f"{len(done)}/{len(needing)}"


def main() -> None:
    """Print a line a package, and the missing parts of those that are named."""
    ours: dict[Any, Finding] = {}
    for package in packages():
        findings = [examine(public) for public in publics(package)]
        ours |= {finding.public.value: finding for finding in findings}
        report(package, findings)
        for finding in findings if package in sys.argv[1:] else []:
            for sentence in finding.missing:
                print(f"    {finding.public.name}: {sentence}")
    report("all, each once", list(ours.values()))


def report(title: str, findings: list[Finding]) -> None:
    """Print one line of counts."""
    sections = ("Docstring", "Args", "Returns", "Raises")
    counts = "  ".join(f"{section} {count(findings, section):>9}" for section in sections)
    examples = sum(finding.has_example for finding in findings)
    print(f"{title:24} {len(findings):4} callables  {counts}  examples {examples}")


if __name__ == "__main__":
    main()
