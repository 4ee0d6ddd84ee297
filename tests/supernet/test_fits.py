"""Every door of a supernet computes a genotype exactly, or refuses it with one sentence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from supernet.cases import FEATURES, SPACES, Log, draw, make_batch, make_supernet, seeds

from nasrec_opt import BlockGene, Genotype, SearchSpace, Subnet
from nasrec_opt.errors import GenotypeError
from nasrec_opt.supernet import SliceAdagrad, TrainConfig, train_step, train_supernet, trained_as

NETS = {name: make_supernet(name) for name in SPACES}
names = st.sampled_from(sorted(SPACES))


MERGERS = ("dense_to_sparse", "sparse_to_dense")


def searched_mergers(space: SearchSpace) -> set[str]:
    if isinstance(space.mergers, bool):
        return set(MERGERS) if space.mergers else set()
    return set(space.mergers)


def fits(genotype: Genotype, name: str) -> bool:
    """The rule, said a second time: as sets, from the space alone."""
    space, blocks = SPACES[name], genotype.blocks
    return (
        len(blocks) == space.num_blocks
        and {op for b in blocks for op in b.dense_ops} <= set(space.dense_ops)
        and {op for b in blocks for op in b.sparse_ops} <= set(space.sparse_ops)
        and max(b.dense_width for b in blocks) <= max(space.dense_widths)
        and max(b.sparse_width for b in blocks) <= max(space.sparse_widths)
        and {m for m in MERGERS for b in blocks if getattr(b, m)} <= searched_mergers(space)
        and (any(space.wide) or not genotype.wide)
    )


def doors(supernet, genotype):
    """What a user may ask with a genotype."""
    batch = make_batch(3)
    dense, sparse, _ = batch
    return (
        lambda: supernet(genotype, dense, sparse),
        lambda: supernet.extract(genotype),
        lambda: supernet.slices_of(genotype),
        lambda: train_step(supernet, SliceAdagrad(supernet), batch, genotype, learning_rate=0.1),
    )


def is_refused_everywhere(supernet, genotype) -> set[str]:
    before = {name: weight.clone() for name, weight in supernet.state_dict().items()}
    messages = set()
    for ask in doors(supernet, genotype):
        with pytest.raises(GenotypeError) as caught:
            ask()
        messages.add(str(caught.value))
    for name, weight in supernet.state_dict().items():
        assert torch.equal(weight, before[name]), name
    assert all("\n" not in message and "expected" in message for message in messages)
    return messages


@given(of=names, asked=names, seed=seeds)
@settings(max_examples=60, deadline=None)
def test_a_genotype_of_any_space_is_computed_exactly_or_refused(of, asked, seed):
    supernet, genotype = NETS[asked], draw(of, seed)
    if not fits(genotype, asked):
        assert len(is_refused_everywhere(supernet, genotype)) == 1
        return
    dense, sparse, _ = make_batch(seed)
    with torch.no_grad():
        inside = supernet(genotype, dense, sparse)
        torch.testing.assert_close(inside, supernet.extract(genotype)(dense, sparse))


def misfit(data, genotype: Genotype, name: str) -> Genotype:
    """A genotype that asks for one thing too many, in one place."""
    space = SPACES[name]
    number = data.draw(st.integers(0, space.num_blocks - 1))
    changes = {"dense_width": st.integers(max(space.dense_widths) + 1, 4096)}
    changes |= dict.fromkeys(set(MERGERS) - searched_mergers(space), st.just(True))
    if space.sparse_ops:
        changes["sparse_width"] = st.integers(max(space.sparse_widths) + 1, 4096)
    else:
        changes.pop("dense_to_sparse", None)  # no block without a sparse operator can have it
    kinds = [*changes, "fewer", "more", *([] if any(space.wide) else ["wide"])]
    kind = data.draw(st.sampled_from(kinds))
    blocks = list(genotype.blocks)
    if kind == "wide":
        return replace(genotype, wide=True)
    if kind == "fewer":
        blocks = blocks[: data.draw(st.integers(1, len(blocks) - 1))]
    elif kind == "more":
        blocks += [BlockGene()] * data.draw(st.integers(1, 9))
    else:
        blocks[number] = replace(blocks[number], **{kind: data.draw(changes[kind])})
    return replace(genotype, blocks=tuple(blocks))


@given(data=st.data(), name=names, seed=seeds)
@settings(max_examples=60, deadline=None)
def test_one_gene_too_large_is_refused_at_every_door_and_trains_nothing(data, name, seed):
    genotype = misfit(data, draw(name, seed), name)
    assert len(is_refused_everywhere(NETS[name], genotype)) == 1


@pytest.mark.parametrize("name", ["single", "floats"])
def test_what_was_computed_silently_short_before_is_named(name):
    blocks = [BlockGene(dense_ops=("fc",), dense_width=16, sparse_width=16)] * SPACES[
        name
    ].num_blocks
    blocks[1] = replace(blocks[1], dense_width=4096)
    widest = max(SPACES[name].dense_widths)
    assert is_refused_everywhere(NETS[name], Genotype(tuple(blocks), space="custom")) == {
        f"block 2: dense_width: expected at most the supernet's {widest}, got 4096"
    }


@pytest.mark.parametrize("given", [None, "{}", {"blocks": []}, 7, Genotype])
def test_what_is_no_genotype_is_refused_at_every_door(given):
    for message in is_refused_everywhere(NETS["single"], given):
        assert message.startswith("genotype: expected a Genotype, got ")
    with pytest.raises(GenotypeError, match="genotype: expected a Genotype"):
        Subnet(given, FEATURES)


@given(seed=seeds, other=seeds)
@settings(max_examples=15, deadline=None)
def test_a_subnet_trains_its_own_genotype_alone_at_any_bits(seed, other):
    genotype, stranger = draw("bits", seed), draw("bits", other)
    subnet = Subnet(genotype, FEATURES)
    optimizer, batch = SliceAdagrad(subnet), make_batch(1)
    for same in (genotype, genotype.canonical(), trained_as(genotype), genotype.with_bits(8)):
        train_step(subnet, optimizer, batch, same, learning_rate=0.1)
    if stranger.with_bits(8).canonical() != genotype.with_bits(8).canonical():
        before = {name: weight.clone() for name, weight in subnet.state_dict().items()}
        with pytest.raises(GenotypeError, match="genotype: expected the subnet's own"):
            train_step(subnet, optimizer, batch, stranger, learning_rate=0.1)
        assert all(torch.equal(w, before[name]) for name, w in subnet.state_dict().items())


@pytest.mark.parametrize(("given", "message"), [(None, "got None"), ("multi", "blocks: expected")])
def test_a_users_path_sampling_that_leaves_the_space_ends_the_training(tmp_path, given, message):
    class Strategy:
        def sample(self, rng: np.random.Generator, progress: float):
            return given and draw(given, int(rng.integers(100)))

    config = TrainConfig(batch_size=64, epochs=1)
    with pytest.raises(GenotypeError, match=message):
        train_supernet(
            make_supernet("single"), Log(tmp_path), tmp_path, config, strategy=Strategy()
        )
    assert not list(tmp_path.iterdir())
