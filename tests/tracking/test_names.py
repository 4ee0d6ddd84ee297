"""Names in MLflow: different ones stay different, and MLflow takes each."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nasrec_opt.tracking._names import (
    EMPTY,
    MAX_NAME,
    decode,
    encode,
    encode_title,
    is_cut,
    unique,
)

pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")

from mlflow.exceptions import MlflowException
from mlflow.utils.validation import (
    _validate_experiment_name,
    _validate_metric,
    _validate_param,
    _validate_tag,
)

# What may go wrong is likelier in these than in any text.
PIECES = st.sampled_from(
    [*"a/._x%\n \ud800é\U0001f600", "..", "_x", "0025", "_x0025_", "_x_", "_xsha256_", "x" * 200]
)
NAMES = st.text(max_size=30) | st.lists(PIECES, max_size=8).map("".join)


def is_taken_by_mlflow(name: str) -> bool:
    try:
        _validate_metric(name, 1.0, 0, 0)
    except MlflowException:
        return False
    return True


@given(name=NAMES)
@example("a" * MAX_NAME)
@example("a" * (MAX_NAME + 1))
@example("/")
@example("..a")
@example("a/../b/./c//")
@example("a\n")
def test_mlflow_takes_every_name(name):
    encoded = encode(name)
    _validate_metric(encoded, 1.0, 0, 0)
    _validate_param(encoded, "value")
    _validate_tag(encoded, "value")
    _validate_experiment_name(encode_title(name))
    assert len(encoded) <= MAX_NAME
    assert encode_title(name).isprintable()


@given(name=NAMES)
@example("_x0025%")
@example("%x0025_")
@example("_x_")
@example("")
@example(";xsha256_000000000000000000;;")  # the end of a code, and what looks like a digest
@example("x" * 203 + ";xsha256_" + "0" * 32)  # the same in a name of the greatest length
def test_the_original_is_found_again(name):
    for encoded in (encode(name), encode_title(name)):
        assert is_cut(encoded) or decode(encoded) == name
        if len(name) < 30:
            assert not is_cut(encoded)


@given(names=st.lists(NAMES, min_size=2, max_size=20, unique=True))
@example(["log/loss", "log_loss", "log//loss", "log loss"])
@example(["a%b", "a$b", "a_x0025_b"])
@example(["x" * 300, "x" * 301])
@example(["%" * 100, "%" * 101])
@example(["", ".", "..", "/", "_x_", " "])
def test_different_names_stay_different(names):
    assert len({encode(name) for name in names}) == len(names)
    assert len({encode_title(name) for name in names}) == len(names)


@given(name=NAMES)
@example("val/log loss: 1.5-x_y")
@example("b1.dense_inputs")
def test_what_mlflow_takes_stays_as_it_is(name):
    if is_taken_by_mlflow(name) and "_x" not in name and not name.endswith("\n"):
        assert encode(name) == name


@given(names=st.lists(NAMES | st.integers() | st.tuples(st.integers()), unique=True, max_size=9))
@example([1, "1", "1'", (1,), "(1,)"])
def test_names_that_are_no_text_are_different_from_all_others(names):
    found = unique(names)
    assert list(found) == names
    assert len(set(found.values())) == len(names)
    assert all(found[name] == encode(name) for name in names if isinstance(name, str))


def test_codes_are_those_of_other_programs():
    assert encode("Order % total") == "Order _x0025_ total"
    assert encode("_x0025_") == "_x005F_x0025_"
    assert encode("a//b") == "a/_x002F_b"
    assert encode("") == EMPTY
