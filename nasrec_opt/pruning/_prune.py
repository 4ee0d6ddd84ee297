"""Iterative structured pruning: rounds that each train, and remove what scores lowest.

Every round begins with the weights that the units that are left had before the first one (the
lottery ticket; Frankle and Carbin 2019), and trains them from scratch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nasrec_opt._files import read_json, write_json
from nasrec_opt.data import Dataset
from nasrec_opt.errors import StudyError
from nasrec_opt.lowering import lower
from nasrec_opt.options import RetrainConfig
from nasrec_opt.pruning._choice import Original, choose, num_weights, unit_scores
from nasrec_opt.pruning._config import PruneConfig
from nasrec_opt.pruning._cut import cut
from nasrec_opt.pruning._masks import MaskedSubnet
from nasrec_opt.pruning._units import (
    Kept,
    all_units,
    from_json,
    pruned_genotype,
    to_json,
)
from nasrec_opt.retrain import RetrainedModel, Training, retrain, untrained
from nasrec_opt.space import Genotype
from nasrec_opt.supernet import Subnet, best_device

Progress = Callable[[int, int | None], None]
Begin = Callable[[str], None]  # told what is trained next


KEPT = "kept.json"


@dataclass(frozen=True, slots=True)
class Round:
    """A model after some rounds of pruning.

    Args:
        number: Number of rounds, from 1.
        genotype: The model, of smaller widths.
        kept: For each output of the original model the units that stay.
        macs: Multiply-accumulates of one sample.
        parameters: Trained numbers outside the embedding tables.
        validation_log_loss: Log loss of the larger model behind the choice, on the validation rows
            that are scored while training, nats.
        trained: The model trained from scratch, or None if none was wanted after this round.
    """

    number: int
    genotype: Genotype
    kept: Kept
    macs: int
    parameters: int
    validation_log_loss: float
    trained: RetrainedModel | None = None


def prune(
    genotype: Genotype,
    dataset: Dataset,
    out_dir: Path | str,
    config: PruneConfig | None = None,
    *,
    training: RetrainConfig | None = None,
    trained_after: Collection[int] | None = None,
    macs: Sequence[int] | None = None,
    begin: Begin | None = None,
    progress: Progress | None = None,
) -> list[Round]:
    """Prune a model of a genotype, and train what is left.

    Rounds and models that the folder already holds are read, so that a pruning that was stopped
    continues with the first unfinished one.

    Args:
        genotype: The architecture.
        dataset: The log, opened as the model is to read it (`min_count`, `binned_dense`).
        out_dir: Gets `round-1/`, …: `kept.json`, and the trained model as `retrain` writes it.
        config: How the model is pruned, or None for the defaults.
        training: How models are trained, in rounds and at the end; its `seed` is that of the
            first weights.
        trained_after: Rounds after which the model that is left is trained to the end, or None for
            the last round alone.
        macs: Multiply-accumulates that each round comes down to, in place of `share`: those of
            another method's rounds, to compare both at equal FLOPs.
        begin: Called with a sentence when a training begins.
        progress: Called with (steps done, maximum number of steps) of that training.

    Returns:
        The model after each round that removed something. Where nothing is left to remove before
        the last round, the last of these is trained in its place.

    Raises:
        StudyError: `macs` has another length than there are rounds, `trained_after` names a round
            that there is not, a training reached no finite log loss, or there is nothing to remove
            in the first round.
    """
    config = config or PruneConfig()
    after = {config.rounds} if trained_after is None else set(trained_after)
    if not after <= set(range(1, config.rounds + 1)):
        raise StudyError(
            f"trained_after: expected rounds 1 to {config.rounds}, got {sorted(after)}"
        )
    if macs is not None and len(macs) != config.rounds:
        raise StudyError(f"macs: expected {config.rounds} numbers, one a round, got {len(macs)}")
    work = _Pruning(genotype, dataset, config, training or RetrainConfig(), begin, progress)
    kept = work.units
    rounds: list[Round] = []
    for number in range(1, config.rounds + 1):
        folder = Path(out_dir) / f"round-{number}"
        found = work.round(number, folder, kept, None if macs is None else macs[number - 1])
        if found.kept == kept and macs is None:  # nothing is left to remove
            break
        if number in after:
            found = work.trained(found, folder)
        rounds.append(found)
        kept = found.kept
    if config.rounds in after and rounds[-1].trained is None:
        rounds[-1] = work.trained(rounds[-1], Path(out_dir) / f"round-{rounds[-1].number}")
    return rounds


class _Pruning:
    """The rounds of one pruning."""

    def __init__(
        self,
        genotype: Genotype,
        dataset: Dataset,
        config: PruneConfig,
        training: RetrainConfig,
        begin: Begin | None,
        progress: Progress | None,
    ) -> None:
        self._dataset = dataset
        self._config = config
        self._training = training.for_rows(dataset.split("train").num_rows)
        balance = self._training.balance is not False
        self._original = Original(genotype, dataset.features, balance)
        self._first = untrained(genotype, dataset, self._training, balance=balance)
        self._num_weights = num_weights(self._first)
        self.units = all_units(genotype, dataset.features, balance=balance)
        self._begin = begin
        self._progress = progress

    def round(self, number: int, folder: Path, kept: Kept, macs: int | None) -> Round:
        """Train the model that is left, and remove its lowest units."""
        wanted = self._wanted(number, kept, macs)
        known = _read(folder / KEPT, wanted)
        if known is not None:
            return self._round(number, from_json(known["kept"]), known["validation_log_loss"])
        subnet = cut(self._first, kept).to(best_device())
        if self._config.method == "mask":
            subnet = MaskedSubnet(
                subnet, expansion=self._config.expansion, seed=self._training.seed
            )
        self._say(f"round {number}: training to choose units")
        history = Training(self._dataset, self._training, self._progress).run(subnet)
        smaller = self._smaller(subnet, kept, macs)
        if smaller == kept and macs is None and number == 1:
            raise StudyError("round 1: expected units that can be removed, got none")
        loss = min(value for _, value in history.validation)
        write_json(
            folder / KEPT,
            {"wanted": wanted, "kept": to_json(smaller), "validation_log_loss": loss},
        )
        return self._round(number, smaller, loss)

    def trained(self, found: Round, folder: Path) -> Round:
        """Train the model after a round to the end, without masks."""
        self._say(f"round {found.number}: training what is left")
        initial = cut(self._first, found.kept)
        model = retrain(
            found.genotype,
            self._dataset,
            folder,
            self._training,
            initial=initial,
            progress=self._progress,
        )
        return replace(found, trained=model)

    def _smaller(self, subnet: Subnet, kept: Kept, macs: int | None) -> Kept:
        size = self._num_weights if macs is None else self._macs
        target = size(kept) * (1 - self._config.share) if macs is None else macs
        return choose(self._original, kept, unit_scores(subnet), size=size, target=target)

    def _macs(self, kept: Kept) -> float:
        original = self._original
        smaller = pruned_genotype(original.genotype, kept)
        return lower(smaller, original.features, balance=original.balance).macs

    def _round(self, number: int, kept: Kept, validation_log_loss: float) -> Round:
        original = self._original
        genotype = pruned_genotype(original.genotype, kept)
        workload = lower(
            genotype,
            original.features,
            balance=original.balance,
            layer_norm=self._training.layer_norm,
        )
        return Round(
            number, genotype, kept, workload.macs, workload.parameters, validation_log_loss
        )

    def _wanted(self, number: int, kept: Kept, macs: int | None) -> dict[str, Any]:
        """Everything that a round depends on, as JSON values; others than its own do not count."""
        config = {name: value for name, value in asdict(self._config).items() if name != "rounds"}
        values = {
            "genotype": self._original.genotype.to_dict(),
            "dataset": self._dataset.fingerprint,
            "pruning": config,
            "training": asdict(self._training) | {"balance": self._original.balance},
            "macs": macs,
            "round": number,
            "before": to_json(kept),
        }
        found: dict[str, Any] = json.loads(json.dumps(values))
        return found

    def _say(self, sentence: str) -> None:
        if self._begin:
            self._begin(sentence)


def _read(file: Path, wanted: dict[str, Any]) -> dict[str, Any] | None:
    """What a finished round wrote; None if it is missing, damaged, or another round."""
    try:
        found: dict[str, Any] = read_json(file)
        return found if found["wanted"] == wanted else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
