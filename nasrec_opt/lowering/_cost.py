"""Costs of genotypes by the thousand."""

from __future__ import annotations

from collections.abc import Sequence

from hw import Cost, CostModel, Costs, ReRAM
from nasrec_opt.errors import StudyError, described
from nasrec_opt.features import FeatureSpec
from nasrec_opt.lowering._configure import check_cost_model, configure
from nasrec_opt.lowering._many import lower_many
from nasrec_opt.lowering._one import lower
from nasrec_opt.space import Genotype, HardwareGene

AT_ONCE = 2048  # genotypes lowered together: their columns fit a processor's cache
FEW = 8  # so many are sooner costed one by one


def cost_many(
    genotypes: Sequence[Genotype],
    features: FeatureSpec,
    accelerator: CostModel | None = None,
    *,
    balance: bool = True,
) -> Costs:
    """Costs of one sample of each genotype, equal to those of `lower` and `cost`.

    Genotypes with the same accelerator genes and as many blocks are lowered and costed together
    where the accelerator can (`hw.ReRAM`), the others one by one.

    Args:
        genotypes: Architectures; accelerator genes configure the accelerator.
        features: Shape of the input.
        accelerator: What they run on; None means the ReRAM accelerator that ships.
        balance: As for `lower`.

    Returns:
        Totals as arrays, and by number the cost of each in full.

    Raises:
        StudyError: The accelerator is a class, has no `cost`, or answers no `Cost`.
    """
    several, base = tuple(genotypes), ReRAM() if accelerator is None else accelerator
    check_cost_model(base)
    models: dict[HardwareGene | None, CostModel] = {None: base}
    groups: dict[tuple[HardwareGene | None, int], list[int]] = {}
    for number, genotype in enumerate(several):
        gene = genotype.hardware
        if gene not in models:
            models[gene] = configure(base, gene)
        groups.setdefault((gene, genotype.num_blocks), []).append(number)

    def in_full(number: int) -> Cost:
        genotype = several[number]
        cost = models[genotype.hardware].cost(lower(genotype, features, balance=balance))
        if not isinstance(cost, Cost):
            raise StudyError(f"accelerator: expected a hw.Cost from cost, got {described(cost)}")
        return cost

    parts = []
    for (gene, _blocks), numbers in groups.items():
        model = models[gene]
        if not isinstance(model, ReRAM) or len(numbers) < FEW:
            parts.append((numbers, Costs.of([in_full(number) for number in numbers])))
            continue
        for first in range(0, len(numbers), AT_ONCE):
            some = numbers[first : first + AT_ONCE]
            batch = lower_many([several[number] for number in some], features, balance=balance)
            parts.append((some, model.cost_many(batch)))
    return Costs.placed(parts, len(several), in_full)
