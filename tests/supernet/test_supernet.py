"""The central invariant, and what a supernet and its subnets promise besides."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from supernet.cases import FEATURES, SPACES, TABLES, draw, make_batch, make_supernet, seeds

from nasrec_opt import FeatureSpec, Subnet, Supernet
from nasrec_opt.errors import StudyError
from nasrec_opt.space import liveness
from nasrec_opt.supernet import (
    LeafReader,
    PartialEmbedding,
    SliceAdagrad,
    full_supernet,
    train_step,
)

NETS = {name: make_supernet(name) for name in SPACES}


def loss_of(network, batch, *genotype):
    dense, sparse, labels = batch
    logits = network(*genotype, dense, sparse)
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)


@pytest.mark.parametrize("name", NETS)
@given(seed=seeds)
@settings(max_examples=8, deadline=None)
def test_subnet_in_supernet_equals_its_extraction_forward_and_gradients(name, seed):
    supernet, genotype, batch = NETS[name], draw(name, seed), make_batch(seed)
    subnet = supernet.extract(genotype)
    inside, outside = loss_of(supernet, batch, genotype), loss_of(subnet, batch)
    torch.testing.assert_close(inside, outside)
    supernet.zero_grad()
    inside.backward()
    outside.backward()
    mine, its = supernet.slices_of(genotype).used, subnet.slices_of(genotype).used
    for (weight, index), (copy, own) in zip(mine, its, strict=True):
        torch.testing.assert_close(weight.grad[index], copy.grad[own])
        weight.grad[index] = 0
    for name_of, weight in supernet.named_parameters():
        if weight.grad is not None and name_of not in TABLES:
            assert not weight.grad.any(), f"{name_of}: a gradient outside the slice"
    for name_of, weight in subnet.named_parameters():
        if name_of in TABLES:
            mine, its = supernet.get_parameter(name_of).grad, weight.grad
            assert (mine is None) == (its is None)  # no gradient if no block reads embeddings
            if mine is not None:
                torch.testing.assert_close(mine, its)


@pytest.mark.parametrize("name", NETS)
@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_a_subnet_holds_exactly_the_weights_that_it_uses(name, seed):
    genotype = draw(name, seed)
    subnet = Subnet(genotype, FEATURES, seed=3)
    used = subnet.slices_of(genotype).used
    assert sum(weight[index].numel() for weight, index in used) == sum(
        weight.numel() for key, weight in subnet.named_parameters() if key not in TABLES
    )
    loss_of(subnet, make_batch(seed)).backward()
    unread = [key for key, weight in subnet.named_parameters() if weight.grad is None]
    assert unread == ([] if reads_embeddings(genotype) else ["embedding.table"])


def reads_embeddings(genotype) -> bool:
    live = zip(genotype.blocks, liveness(genotype), strict=True)
    return any(part.reads_sparse and 0 in gene.sparse_inputs for gene, part in live)


@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_blocks_one_by_one_equal_the_whole_pass(seed):
    supernet, genotype, (dense, sparse, _) = NETS["single"], draw("single", seed), make_batch(seed)
    with torch.inference_mode():
        activations = supernet.begin(dense, supernet.embed(sparse))
        for number, live in enumerate(liveness(genotype), start=1):
            supernet.run_block(number, genotype, activations)
            assert (number in activations.dense) == live.dense_out
            assert (number in activations.sparse) == live.sparse_out
        weight, bias = supernet.last_weight(genotype, activations)
        features = supernet.last_features(genotype, activations)
        logits = supernet.last_logits(genotype, features, weight, bias)
        torch.testing.assert_close(logits, supernet(genotype, dense, sparse))


def test_a_supernet_can_be_trained_after_it_was_asked_in_inference_mode():
    supernet, (dense, sparse, _) = make_supernet("multi"), make_batch(0)
    genotype = full_supernet(SPACES["multi"])
    with torch.inference_mode():
        supernet(genotype, dense, sparse)
    train_step(supernet, SliceAdagrad(supernet), make_batch(1), genotype, learning_rate=0.1)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    genotype = draw("single", 0)
    for make in (
        lambda seed: Supernet(SPACES["single"], FEATURES, seed),
        lambda seed: Subnet(genotype, FEATURES, seed),
    ):
        one, same, other = (dict(make(seed).named_parameters()) for seed in (0, 0, 1))
        assert all(torch.equal(one[name], same[name]) for name in one)
        assert not torch.equal(one["embedding.table"], other["embedding.table"])


@given(seed=seeds, name=st.sampled_from(["single", "wide"]))
@settings(max_examples=8, deadline=None)
def test_a_step_changes_only_the_slices_and_rows_that_it_used(seed, name):
    supernet, genotype, batch = make_supernet(name), draw(name, seed), make_batch(seed)
    optimizer = SliceAdagrad(supernet)
    before = {name: weight.detach().clone() for name, weight in supernet.named_parameters()}
    train_step(supernet, optimizer, batch, genotype, learning_rate=0.1)
    weights = dict(supernet.named_parameters())
    allowed = {name: torch.zeros_like(weight, dtype=torch.bool) for name, weight in weights.items()}
    names = {id(weight): name for name, weight in weights.items()}
    for weight, index in supernet.slices_of(genotype).used:
        allowed[names[id(weight)]][index] = True
    tables = [name for name in TABLES if name in weights]
    for table in tables if genotype.wide else tables[:1]:
        allowed[table][supernet.embedding.rows_of(batch[1]).flatten()] = True
    changed = {name: weights[name] != before[name] for name in weights}
    assert not any((changed[name] & ~allowed[name]).any() for name in weights)
    assert changed["final.bias"].all()
    if genotype.wide:
        assert changed["final.first_order"].all()
        assert torch.equal(changed[TABLES[1]], allowed[TABLES[1]])
    for name, squares in optimizer.state_dict().items():
        rows = allowed[name].any(dim=1) if name in TABLES else allowed[name]
        assert not squares[~rows].any()


@settings(max_examples=10, deadline=None)
@given(seeds, st.sampled_from([None, 5]), st.sampled_from(["single", "wide"]))
def test_a_subnet_that_embeds_with_some_rows_learns_what_one_with_all_rows_learns(seed, cap, name):
    supernet = make_supernet(name, max_table_rows=cap)
    before = {name: weight.clone() for name, weight in supernet.named_parameters()}
    genotype, batches = draw(name, seed), [make_batch(seed), make_batch(seed // 2)]
    whole = supernet.embedding
    kept = torch.zeros(len(whole.table), dtype=torch.bool)
    for _, sparse, _ in batches:
        kept[whole.rows_of(sparse)] = True
    some = PartialEmbedding(whole, kept)
    subnets = supernet.extract(genotype), supernet.extract(genotype, embedding=some)
    for subnet in subnets:
        optimizer = SliceAdagrad(subnet)
        for batch in batches:
            train_step(subnet, optimizer, batch, genotype, learning_rate=0.1)
    alone, other = (dict(subnet.named_parameters()) for subnet in subnets)
    assert len(some.table) == int(kept.sum()) <= len(whole.table)
    for table in TABLES if genotype.wide else TABLES[:1]:
        assert torch.equal(alone.pop(table)[kept], other.pop(table))
    other.pop(TABLES[1], None)  # rows that a model without the term never reads
    assert all(torch.equal(weight, other[name]) for name, weight in alone.items())
    assert all(torch.equal(w, before[name]) for name, w in supernet.named_parameters())
    some.reset()
    assert torch.equal(some.table, whole.table[kept])
    if whole.first_order is not None:
        assert torch.equal(some.first_order, whole.first_order[kept])


@pytest.mark.parametrize("masking", ["slice", "zero"])
@pytest.mark.parametrize("name", ["single", "bits", "wide"])
def test_a_saved_supernet_loads_as_it_was(tmp_path, name, masking):
    supernet = make_supernet(name, masking=masking, balance=False, max_table_rows=8)
    supernet.save(tmp_path / "net", note={"by": "a test"})
    loaded = Supernet.load(tmp_path / "net")
    assert loaded.space == supernet.space
    assert loaded.features == supernet.features
    assert json.loads((tmp_path / "net" / "note.json").read_text()) == {"by": "a test"}
    dense, sparse, _ = make_batch(0)
    for seed in range(3):
        genotype = draw(name, seed)
        assert torch.equal(loaded(genotype, dense, sparse), supernet(genotype, dense, sparse))


@pytest.mark.parametrize("bits", [4, (4, 8), 8, 32])
def test_a_saved_subnet_loads_as_it_was_with_its_bits(tmp_path, bits):
    subnet = NETS["bits"].extract(draw("bits", 1).with_bits(bits))
    subnet.save(tmp_path / "net")
    dense, sparse, _ = make_batch(0)
    loaded = Subnet.load(tmp_path / "net")
    assert loaded.genotype == subnet.genotype
    assert torch.equal(loaded(dense, sparse), subnet(dense, sparse))


@pytest.mark.parametrize(("was_quantized", "bits"), [(False, 32), (True, 8)])
def test_a_subnet_saved_when_bits_could_be_ignored_computes_as_it_did(
    tmp_path, was_quantized, bits
):
    subnet = NETS["single"].extract(draw("single", 1).with_bits(8))
    subnet.save(tmp_path / "net")
    file = tmp_path / "net" / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"is_quantized": was_quantized}))
    loaded = Subnet.load(tmp_path / "net")
    assert loaded.genotype == subnet.genotype.with_bits(bits)


def _truncate(folder):
    file = folder / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:1000])


def _empty(folder):
    (folder / "weights.safetensors").write_bytes(b"")


def _forget(folder):
    (folder / "weights.safetensors").unlink()


def _other_weights(folder):
    Supernet(SPACES["plain"], FEATURES).save(folder.parent / "other")
    (folder.parent / "other" / "weights.safetensors").replace(folder / "weights.safetensors")


def _no_json(folder):
    (folder / "model.json").write_text("{")


def _no_key(folder):
    (folder / "model.json").write_text('{"kind": "supernet", "space": {}}')


def _other_kind(folder):
    (folder / "model.json").write_text('{"kind": "subnet"}')


@pytest.mark.parametrize(
    "damage", [_truncate, _empty, _forget, _other_weights, _no_json, _no_key, _other_kind]
)
def test_an_unreadable_checkpoint_is_one_sentence_that_names_the_file(tmp_path, damage):
    folder = tmp_path / "net"
    NETS["single"].save(folder)
    damage(folder)
    with pytest.raises(StudyError, match=str(folder)) as caught:
        Supernet.load(folder)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StudyError, match="expected a supernet, found no model"):
        Supernet.load(tmp_path / "nowhere")


def test_tensors_of_the_wrong_shape_are_refused_at_the_door():
    dense, sparse, _ = make_batch(0)
    genotype = draw("single", 0)
    with pytest.raises(ValueError, match=r"dense: expected \[batch, 5\]"):
        NETS["single"](genotype, dense[:, :4], sparse)
    with pytest.raises(ValueError, match=r"sparse: expected \[batch, 6\]"):
        NETS["single"](genotype, dense, sparse[:3])


@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_capped_tables_wrap_large_ids_and_keep_the_special_ones(seed):
    features = FeatureSpec(1, (100, 3, 9))
    embedding = Supernet(SPACES["plain"], features, max_table_rows=8).embedding
    rng = np.random.default_rng(seed)
    ids = np.stack([rng.integers(0, size, 20) for size in features.cardinalities], axis=1)
    rows = embedding.rows_of(torch.from_numpy(ids)).numpy() - embedding.offsets.numpy()
    for column, size in enumerate((8, 3, 8)):
        for number, row in zip(ids[:, column], rows[:, column], strict=True):
            assert row == (number if number < size else 2 + (number - 2) % (size - 2))


def test_zero_masking_reads_all_weights_and_is_not_extracted():
    genotype, (dense, sparse, _) = draw("single", 3), make_batch(0)
    masked = make_supernet("single", masking="zero")
    leaves = LeafReader()
    masked(genotype, dense, sparse, leaves)
    read = sum(leaf.view.numel() for leaf in leaves.used)
    assert read > 4 * sum(w[i].numel() for w, i in NETS["single"].slices_of(genotype).used)
    with pytest.raises(StudyError, match="masking='slice'"):
        masked.extract(genotype)


@pytest.mark.parametrize("name", ["single", "multi", "wide"])
def test_zero_masking_equals_slices_for_the_full_supernet(name):
    # Nothing is masked there, so that the two must agree; elsewhere they normalise other units.
    genotype, (dense, sparse, _) = full_supernet(SPACES[name]), make_batch(0)
    masked = make_supernet(name, masking="zero")
    ours, sliced = (net(genotype, dense, sparse) for net in (masked, NETS[name]))
    torch.testing.assert_close(ours, sliced, rtol=1e-4, atol=1e-4)


@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_zero_masking_is_blind_to_inactive_units(seed):
    # Of few bits, what inactive weights do to the scale of a rounding is not nothing.
    genotype, (dense, sparse, _) = draw("single", seed).with_bits(32), make_batch(seed)
    masked = make_supernet("single", masking="zero")
    last = genotype.blocks[-1]
    activations = masked.hidden(genotype, dense, masked.embed(sparse))
    assert not activations.dense[4][:, last.dense_width :].any()
    assert not activations.sparse[4].vectors[:, :, last.sparse_width : -8].any()
    assert activations.sparse[4].vectors[:, :, -8:].any() == last.dense_to_sparse
    before = masked(genotype, dense, sparse)
    with torch.no_grad():
        masked.final.dense[last.dense_width :] += 1
        masked.final.sparse[:, last.sparse_width :] += 1
    assert torch.equal(masked(genotype, dense, sparse), before)
