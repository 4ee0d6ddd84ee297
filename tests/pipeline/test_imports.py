"""Every module of the pipeline can be the first that is imported: none is in a cycle."""

from __future__ import annotations

SCRIPT = """
import importlib, pkgutil, sys
import nasrec_opt.pipeline as package
import nasrec_opt.supernet, nasrec_opt.report  # what takes long is loaded once

names = [module.name for module in pkgutil.walk_packages(package.__path__, "nasrec_opt.pipeline.")]
assert len(names) > 40
for name in names:
    for loaded in [n for n in sys.modules if n.startswith("nasrec_opt.pipeline")]:
        del sys.modules[loaded]
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(f"{name}: {error}")
"""


def test_every_module_can_be_imported_first(start_code):
    found = start_code(SCRIPT).wait()
    assert found.returncode == 0, found.stderr
    assert found.stdout == ""
