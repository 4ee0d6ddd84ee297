"""An operator is added where CONTRIBUTING.md says, and searched; nothing else has to change."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY
from patience import PATIENCE_S

from nasrec_opt import SearchSpace
from nasrec_opt.space import OPERATORS

TABLE = "nasrec_opt/space/_operators.py"
MODULES = "nasrec_opt/supernet/_operators.py"
FORMULAS = "nasrec_opt/lowering/_operators.py"

# Three operators, one for each way of reading that the paper's have not.
SPECS = """
    "times": OperatorSpec(
        side="dense", reads=frozenset({"gate_inputs"}), label="Times", is_symmetric=True
    ),
    "pool": OperatorSpec(side="dense", reads=frozenset({"sparse_inputs"}), label="Pool"),
    "line": OperatorSpec(side="sparse", reads=frozenset({"sparse_inputs"}), label="Line"),
"""
CLASSES = '''
class Times(nn.Module):
    """Product of the left and the right input, linear without bias to the width, layer norm."""

    def __init__(self, capacity: Capacity, draw: Initializer) -> None:
        super().__init__()
        narrower = min(capacity.two)
        bound = 1 / math.sqrt(narrower)
        self.output = draw.linear("output", capacity.dense_width, narrower, bound=bound)
        self.norm = LayerNorm(capacity.dense_width)

    def forward(self, given: BlockInput, width: int, reader: WeightReader) -> Tensor:
        size = min(given.left.shape[1], given.right.shape[1])
        product = given.activation(given.left[:, :size] * given.right[:, :size])
        weight = reader.weight(self.output, first(width), first(size))
        made = reader.linear(product, weight, bits=given.bits)  # [batch, width]
        return self.norm(made, reader)


class Pool(nn.Module):
    """Mean of the rows, linear without bias to the width, layer norm."""

    def __init__(self, capacity: Capacity, draw: Initializer) -> None:
        super().__init__()
        bound = 1 / math.sqrt(capacity.dim)
        self.output = draw.linear("output", capacity.dense_width, capacity.dim, bound=bound)
        self.norm = LayerNorm(capacity.dense_width)

    def forward(self, given: BlockInput, width: int, reader: WeightReader) -> Tensor:
        mean = given.activation(given.joined.mean(dim=-1))
        weight = reader.weight(self.output, first(width), first(mean.shape[1]))
        made = reader.linear(mean, weight, bits=given.bits)  # [batch, width]
        return self.norm(made, reader)


class Line(nn.Module):
    """EFC without its ReLU."""

    def __init__(self, capacity: Capacity, draw: Initializer) -> None:
        super().__init__()
        self.project = SparseProjection(capacity.sparse_width, capacity, draw)
        self.norm = LayerNorm(capacity.sparse_width)

    def forward(self, given: BlockInput, width: int, reader: WeightReader) -> Tensor:
        rows = self.project(given, width, self.norm, reader)  # [batch, dim, width]
        return rows.to(given.joined.dtype)


'''
OF_MODULES = """
    "times": Times,
    "pool": Pool,
    "line": Line,
"""
FUNCTIONS = '''
def times(s: Shapes) -> Parts:
    """The left input times the right one, projected to the width."""
    n, size = s.width, s.left + s.right - _larger(s.left, s.right)
    return (
        Work("", (TWO,), unit_macs=size),
        Product("output", ("",), size, n),
        norm(s, "norm", "output", n, own_parameters=True),
    )


def pool(s: Shapes) -> Parts:
    """The mean of the rows, projected to the width."""
    return (
        Work("", (SPARSE,), unit_macs=s.dim, additions=(s.sparse - 1) * s.dim),
        Product("output", ("",), s.dim, s.width),
        norm(s, "norm", "output", s.width, own_parameters=True),
    )


def line(s: Shapes) -> Parts:
    """A linear layer over rows, the same for each of `dim` columns."""
    n = s.vectors
    product = Product("", (SPARSE,), s.sparse, n, repeats=s.dim, extra=2 * n)
    return product, norm(s, "norm", "", n * s.dim)


'''
OF_FORMULAS = """
    "times": times,
    "pool": pool,
    "line": line,
"""
RECIPE = {
    TABLE: ("OPERATORS", "", SPECS),
    MODULES: ("MODULES", CLASSES, OF_MODULES),
    FORMULAS: ("FORMULAS", FUNCTIONS, OF_FORMULAS),
}


def with_entries(text: str, table: str, code: str, entries: str) -> str:
    """A module with entries at the end of one of its tables, and code before that table."""
    (node,) = [
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == table
    ]
    lines = text.splitlines(keepends=True)
    before, inside, after = (
        "".join(lines[: node.lineno - 1]),
        "".join(lines[node.lineno - 1 : node.end_lineno - 1]),
        "".join(lines[node.end_lineno - 1 :]),
    )
    return before + code + inside + entries.lstrip("\n") + after


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict:
    """What searching the new operators comes to, in a copy of the packages that has them."""
    copy = tmp_path_factory.mktemp("copy")
    for package in ("nasrec_opt", "hw"):
        shutil.copytree(
            REPOSITORY / package, copy / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    for file, recipe in RECIPE.items():
        path = copy / file
        path.write_text(with_entries(path.read_text(), *recipe))
    script = Path(__file__).with_name("search_new_operators.py")
    result = subprocess.run(
        [sys.executable, script, copy],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(copy)},
        timeout=PATIENCE_S,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_the_recipe_touches_the_files_that_contributing_names_and_no_other():
    section = (REPOSITORY / "CONTRIBUTING.md").read_text().split("\n## ")
    (own,) = [text for text in section if text.startswith("A new operator")]
    assert re.findall(r"^\| `([^`]+)` \|", own, re.MULTILINE) == list(RECIPE)


def test_what_is_new_is_part_of_every_table(found):
    new = {"times", "pool", "line"}
    assert set(found["operators"]) == {*OPERATORS, *new}
    assert found["operators"][: len(OPERATORS)] == list(OPERATORS)
    assert new <= {name.rpartition(".")[2] for name in found["dimensions"]}


def test_genes_follow_from_what_an_operator_reads(found):
    assert found["pool"] == {"dense_inputs": [], "left_input": None, "reads_sparse": True}
    assert found["times_swapped_is_the_same"]
    assert not found["gate_and_times_swapped_is_the_same"]


def test_macs_of_the_new_operators_are_those_worked_by_hand(found):
    assert found["macs"] == {
        "2/times/output": 13 * 64,  # 13 raw features and 32 units: the product has 13
        "2/pool/output": 16 * 64,
        "2/line": 16 * 26 * 32,
    }


def test_the_papers_spaces_stay_as_they_were(found):
    for preset, values in found["presets"].items():
        assert values == getattr(SearchSpace, preset)().to_dict()


def test_the_search_finds_models_that_have_them(found):
    assert found["searched"] == 24
    assert {"times", "pool", "line"} <= set(found["searched_operators"])
    assert {"Times", "Pool", "Line"} <= set(found["drawn"])
    assert 0.3 < found["log_loss"] < 1.0
