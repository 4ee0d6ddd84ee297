"""The documentation site: the pages of this folder as its guide, and the API from the docstrings.

`tox run -e docs` builds it. The pages of `api/` are written here, one for each package that has an
`__all__`, so that no list of names is kept twice.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import types
from pathlib import Path
from typing import Any, get_origin

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

import nasrec_opt
import nasrec_opt.options

HERE = Path(__file__).parent
ROOTS = ("nasrec_opt", "hw")

project = "nasrec-opt"
author = "the authors of nasrec-opt"
version = release = nasrec_opt.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"nasrec-opt {release}"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
default_role = "py:obj"  # `name` in a docstring is a link where it names something public
python_use_unqualified_type_names = True
maximum_signature_line_length = 88
myst_heading_anchors = 4
suppress_warnings = ["ref.python"]  # `weights` in backticks may be the attribute of two classes
autosummary_generate = False
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# Members of the classes of other libraries stand in their own documentation.
HOSTS = "Module,BaseSampler,ExternalGenerationNode,IRunner,IMetric,Exception,ValueError,tuple,str"
autodoc_default_options = {
    "members": True,
    "inherited-members": HOSTS,
    "special-members": "__call__",
}

MAX_VALUE = 200  # characters of a constant that are shown

# The pages beside the API, in the order of index.md.
GUIDE = {
    "Tutorial": ["tutorial/*"],
    "How to": ["howto/*"],
    "Reference": ["reference/*", "api/tabular_benchmark", "api/contributing"],
    "API": ["api/nasrec_opt", "api/nasrec_opt.*", "api/hw", "api/hw.*"],
    "What was measured": [
        "worth",
        "comparison",
        "ranking",
        "curves",
        "motifs",
        "pruning",
        "samplers",
        "pim_claims",
        "codesign",
        "performance",
    ],
    "Decisions": ["decisions/index", "decisions/*"],
}
# Pages that stand elsewhere, and where the site has them.
OUTSIDE = {
    "CONTRIBUTING.md": "api/contributing.md",
    "nasrec_opt/tabular/README.md": "api/tabular_benchmark.md",
}


def packages() -> dict[str, types.ModuleType]:
    """Public modules that have an `__all__`, by name."""
    found = {}
    for root in ROOTS:
        package = importlib.import_module(root)
        walked = pkgutil.walk_packages(package.__path__, f"{root}.")
        for name in [root, *(info.name for info in walked)]:
            if not any(part.startswith("_") for part in name.split(".")):
                module = importlib.import_module(name)
                if hasattr(module, "__all__"):
                    found[name] = module
    return found


PACKAGES = packages()
# Where each public name is described: in its package, not in nasrec_opt, which repeats it.
HOMES = {
    name: package
    for package in sorted(PACKAGES, key=lambda package: package.count("."))
    for name in PACKAGES[package].__all__
}


def write_api(app: Sphinx) -> None:
    """Write a page for each package into `api/`."""
    folder = HERE / "api"
    folder.mkdir(exist_ok=True)
    written = {HERE / copy for copy in OUTSIDE.values()}
    written |= {folder / f"{package}.rst" for package in PACKAGES}
    for stale in set(folder.iterdir()) - written:  # of a package that is gone
        stale.unlink()
    for source, copy in OUTSIDE.items():
        text = (HERE.parent / source).read_text()
        _write(HERE / copy, text.replace("](docs/", "](/"))
    for package, module in PACKAGES.items():
        names = sorted(module.__all__, key=str.lower)
        lines = [package, "=" * len(package), "", inspect.cleandoc(module.__doc__ or ""), ""]
        lines += [".. autosummary::", ""]
        lines += [f"   ~{_home(package, name)}.{name}" for name in names]
        for name in names:
            if _home(package, name) == package:
                value = getattr(module, name)
                lines += ["", f".. auto{_kind(value)}:: {package}.{name}"]
                if _kind(value) == "data" and len(repr(value)) > MAX_VALUE:
                    lines += ["   :no-value:"]
        _write(folder / f"{package}.rst", "\n".join(lines) + "\n")


def _write(path: Path, text: str) -> None:
    """Write what has changed, so that a second build reads only that."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def _home(package: str, name: str) -> str:
    """The package that describes a name of this one."""
    home = HOMES[name]
    is_same = getattr(PACKAGES[home], name) is getattr(PACKAGES[package], name)
    return home if is_same else package


def _kind(value: Any) -> str:
    if get_origin(value) is not None:  # an alias such as dict[str, int], which can be called
        return "data"
    if inspect.isclass(value):
        return "exception" if issubclass(value, BaseException) else "class"
    return "function" if callable(value) and hasattr(value, "__qualname__") else "data"


def adapt(app: Sphinx, page: str, source: list[str]) -> None:
    """Give the index its tables of contents, which a code host would show as text."""
    for outside, copy in OUTSIDE.items():
        source[0] = re.sub(rf"\]\((\.\./)+{re.escape(outside)}([)#])", rf"](/{copy}\2", source[0])
    if page != "index":
        return
    for caption, pages in GUIDE.items():
        head = f"```{{toctree}}\n:hidden:\n:caption: {caption}\n:glob:\n\n"
        source[0] += "\n" + head + "\n".join(pages) + "\n```\n"


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: nodes.Element
) -> nodes.Element | None:
    """Lead a name to where its package describes it, whatever private module it is written in."""
    if node.get("refdomain") != "py":
        return None
    name = str(node.get("reftarget", ""))
    parts = name.split(".")
    if parts[0] in ROOTS or len(parts) <= 2:
        public = next((part for part in parts if part in HOMES), None)
        if public is not None:
            target = ".".join([HOMES[public], *parts[parts.index(public) :]])
            known = env.domains["py"].objects  # type: ignore[attr-defined]
            if target in known:
                at = known[target]
                return make_refnode(
                    app.builder, node["refdoc"], at.docname, at.node_id, shown, target
                )
    return None


def skip(app: Sphinx, kind: str, name: str, value: Any, skipped: bool, options: Any) -> bool | None:
    """Leave out what is no documentation of ours.

    Fields of named tuples are described with their class. What scikit-learn adds to a classifier
    refers to pages of its own site.
    """
    doc = inspect.getdoc(value) or ""
    if str(getattr(value, "__module__", "")).startswith("sklearn."):
        return True
    return True if doc.startswith("Alias for field number") else None


def hide_constructor(
    app: Sphinx, kind: str, name: str, value: Any, options: Any, arguments: str, returns: str
) -> tuple[str, str] | None:
    """Show protocols and enumerations without a constructor that nobody calls."""
    is_protocol = kind == "class" and getattr(value, "_is_protocol", False)
    return ("", "") if is_protocol else None


def show_defaults(
    app: Sphinx, kind: str, name: str, value: Any, options: Any, arguments: str, returns: str
) -> tuple[str, str] | None:
    """Show the value of a default that is the attribute of a class of options."""

    def shown(found: re.Match[str]) -> str:
        owner = getattr(nasrec_opt.options, found[1], None)  # or another library's class
        return repr(getattr(owner, found[2])) if hasattr(owner, found[2]) else found[0]

    if not arguments:
        return None
    return re.sub(r"\b(\w+Config)\.(\w+)", shown, arguments), returns


def clear_inherited(
    app: Sphinx, kind: str, name: str, value: Any, options: Any, lines: list[str]
) -> None:
    """Do not show what `dict` or `tuple` say of themselves as the documentation of a constant."""
    inherited = (type(value).__doc__, getattr(get_origin(value), "__doc__", None))
    if kind == "data" and value.__doc__ in inherited:
        lines.clear()


def setup(app: Sphinx) -> None:
    """Connect the above."""
    app.connect("builder-inited", write_api)
    app.connect("source-read", adapt)
    app.connect("autodoc-process-signature", hide_constructor)
    app.connect("autodoc-process-signature", show_defaults)
    app.connect("missing-reference", resolve)
    app.connect("autodoc-process-docstring", clear_inherited)
    app.connect("autodoc-skip-member", skip)
