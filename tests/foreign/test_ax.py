"""Ax has the shape that is expected, and where it has another, a search goes on without it."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("ax", reason="the extra 'ax' is not installed")

from ax.storage.json_store import registry

from nasrec_opt import Objective, SearchSpace
from nasrec_opt._foreign import ax as foreign
from nasrec_opt.ax import (
    ObjectiveMetric,
    ObjectiveRunner,
    PoolNode,
    _storage,
    load_client,
    make_client,
)
from nasrec_opt.errors import StudyError

_storage.register()  # once in a process, before a test takes registries away
OBJECTIVE = Objective(SearchSpace.nasrec_small(num_blocks=2), lambda g: 0.5)


def register() -> bool:
    return foreign.register(
        ObjectiveMetric, ObjectiveRunner, PoolNode, to_dict=vars, from_dict=dict, not_stored="x"
    )


def test_ax_has_the_registries_and_a_client_its_experiment(monkeypatch):
    for name in ("CORE_ENCODER_REGISTRY", "CORE_DECODER_REGISTRY", "CORE_CLASS_DECODER_REGISTRY"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))
    client = make_client(OBJECTIVE)
    assert foreign.experiment_of(client).name == "nasrec"
    assert register()


def test_a_search_goes_on_without_the_registries(monkeypatch):
    monkeypatch.setitem(sys.modules, "ax.storage.json_store.registry", None)
    assert not register()
    _storage.register.__wrapped__()
    client = make_client(OBJECTIVE)
    client.run_trials(max_trials=2)
    assert len(foreign.experiment_of(client).trials) == 2


@pytest.mark.parametrize("known", ["ObjectiveMetric", "ObjectiveRunner", "PoolNode"])
def test_a_file_of_classes_that_ax_was_not_told_of_is_one_sentence(known, tmp_path, monkeypatch):
    client, path = make_client(OBJECTIVE), tmp_path / "client.json"
    client.run_trials(max_trials=1)
    client.save_to_json_file(str(path))
    for name in ("CORE_DECODER_REGISTRY", "CORE_CLASS_DECODER_REGISTRY"):
        monkeypatch.delitem(getattr(registry, name), known, raising=False)
    with pytest.raises(StudyError, match=r"client\.json: expected a client's JSON file, got: "):
        load_client(OBJECTIVE, path=path)
    monkeypatch.undo()
    assert len(foreign.experiment_of(load_client(OBJECTIVE, path=path)).trials) == 1
