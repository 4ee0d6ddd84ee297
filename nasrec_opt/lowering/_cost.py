"""Costs of many genotypes at once."""

from __future__ import annotations

from collections.abc import Sequence

from hw import Cost, CostModel, Costs, ReRAM
from nasrec_opt.errors import StudyError, described
from nasrec_opt.features import FeatureSpec
from nasrec_opt.lowering._columns import groups_of
from nasrec_opt.lowering._configure import check_cost_model, configure
from nasrec_opt.lowering._many import lower_many
from nasrec_opt.lowering._one import lower
from nasrec_opt.space import Genotype, HardwareGene


def cost_many(
    genotypes: Sequence[Genotype],
    features: FeatureSpec,
    accelerator: CostModel | None = None,
    *,
    balance: bool = True,
) -> Costs:
    """Costs of one sample of each genotype, equal to those of `lower` and `cost`.

    Genotypes with the same accelerator genes and the same number of blocks are lowered and costed
    together if the accelerator supports it (`hw.ReRAM`), otherwise one by one.

    Args:
        genotypes: Architectures; accelerator genes configure the accelerator.
        features: Shape of the input.
        accelerator: What they run on; None means the default ReRAM accelerator.
        balance: As for `lower`.

    Returns:
        Totals as arrays, and by number the cost of each in full.

    Raises:
        StudyError: The accelerator is a class, has no `cost`, or does not return a `Cost`.
    """
    several, base = tuple(genotypes), ReRAM() if accelerator is None else accelerator
    check_cost_model(base)
    models: dict[HardwareGene | None, CostModel] = {None: base}
    for genotype in several:
        gene = genotype.hardware
        if gene is not None and gene not in models:
            models[gene] = configure(base, gene)

    def in_full(number: int) -> Cost:
        genotype = several[number]
        cost = models[genotype.hardware].cost(lower(genotype, features, balance=balance))
        if not isinstance(cost, Cost):
            raise StudyError(f"accelerator: expected a hw.Cost from cost, got {described(cost)}")
        return cost

    parts = []
    for numbers, is_together in groups_of(several, by_hardware=True):
        some = [several[number] for number in numbers]
        model = models[some[0].hardware]
        if is_together and isinstance(model, ReRAM):
            costs = model.cost_many(lower_many(some, features, balance=balance))
        else:
            costs = Costs.of([in_full(number) for number in numbers])
        parts.append((numbers, costs))
    return Costs.placed(parts, len(several), in_full)
