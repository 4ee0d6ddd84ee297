"""Several trained models as one: the mean of their logits.

Models with other initial weights or another architecture are wrong on different rows, so their mean
is better than each of them. The members are chosen one by one: each is the one that helps most on
validation rows (Caruana et al., Ensemble Selection from Libraries of Models, ICML 2004). All have
the same weight.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nasrec_opt._files import read_json, write_json
from nasrec_opt.errors import StudyError
from nasrec_opt.retrain._metrics import log_loss
from nasrec_opt.supernet import Subnet

FILE = "ensemble.json"
LEAST_GAIN = 1e-4  # nats that a further model must gain on validation rows, since it adds cost


class Ensemble(nn.Module):
    """The mean logit of models that read the same columns.

    Args:
        members: The models.

    Raises:
        StudyError: There are no members, or two read different columns.

    Example:
        >>> import numpy as np
        >>> from nasrec_opt import FeatureSpec, SearchSpace, Subnet
        >>> features = FeatureSpec(2, (10, 20))
        >>> space, rng = SearchSpace.nasrec_small(num_blocks=1), np.random.default_rng(0)
        >>> ensemble = Ensemble([Subnet(space.sample(rng), features, seed) for seed in range(2)])
        >>> ensemble(torch.zeros(3, 2), torch.zeros(3, 2, dtype=torch.int64)).shape
        torch.Size([3])
    """

    def __init__(self, members: Sequence[Subnet]) -> None:
        super().__init__()
        if not members:
            raise StudyError("ensemble: expected models, got none")
        if any(member.features != members[0].features for member in members):
            raise StudyError("ensemble: expected models that read the same columns, got others")
        self.members = nn.ModuleList(members)
        self.features = members[0].features

    def forward(self, dense: Tensor, sparse: Tensor) -> Tensor:
        """Logits.

        Args:
            dense: float32 `[batch, num_dense]`.
            sparse: Ids, integers `[batch, num_sparse]`.

        Returns:
            float32 `[batch]`.
        """
        return torch.stack([member(dense, sparse) for member in self.members]).mean(dim=0)

    def save(self, path: Path | str) -> None:
        """Write the folder `path`, with a copy of each member in it.

        Args:
            path: The folder.
        """
        path = Path(path)
        folders = [path / str(number) for number in range(len(self.members))]
        for folder, member in zip(folders, self.members, strict=True):
            assert isinstance(member, Subnet)
            member.save(folder)
        refer_to(folders, path)

    @classmethod
    def load(cls, path: Path | str) -> Ensemble:
        """Load what `save` or `refer_to` wrote.

        Args:
            path: The folder.

        Returns:
            The ensemble, its members in the order in which they were saved.

        Raises:
            StudyError: It holds no ensemble, or a member cannot be read.
        """
        file = Path(path) / FILE
        try:
            folders = [file.parent / str(name) for name in read_json(file)["members"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StudyError(
                f"{file}: expected the members of an ensemble, got: {error!r}"
            ) from error
        return cls([Subnet.load(folder) for folder in folders])


def refer_to(folders: Sequence[Path], path: Path) -> None:
    """Write an ensemble whose members are stored in other folders.

    Args:
        folders: Folders of the members, as `Subnet.save` writes them; they have to move together
            with `path`.
        path: Folder of the ensemble.
    """
    path.mkdir(parents=True, exist_ok=True)
    names = [Path(os.path.relpath(folder, path)).as_posix() for folder in folders]
    write_json(path / FILE, {"members": names})


def choose_members(
    logits: npt.ArrayLike,
    labels: npt.ArrayLike,
    most: int,
    *,
    weights: npt.ArrayLike | None = None,
    least_gain: float = LEAST_GAIN,
    is_allowed: Callable[[Sequence[int]], bool] = lambda members: True,
) -> list[int]:
    """Choose which models to average: the best one, then whichever lowers the log loss most.

    Args:
        logits: Answers of each model to validation rows, `[models, rows]`.
        labels: 0 or 1, `[rows]`.
        most: Maximum number of members.
        weights: Of the rows, `[rows]`, or None where each counts once.
        least_gain: By how much a further member must lower the log loss, nats.
        is_allowed: Tells whether models may be averaged, from their places.

    Returns:
        Places of the members in the order in which they were chosen; empty if no model is allowed.

    Example:
        >>> choose_members([[2.0, -2.0, 2.0], [2.0, 2.0, -2.0], [-9.0, 9.0, 9.0]], [1, 0, 0], 3)
        [0, 1]
    """
    answers = np.asarray(logits, np.float64)
    chosen: list[int] = []
    total, best = np.zeros(answers.shape[1:]), np.inf
    while len(chosen) < most:
        losses = {
            i: log_loss((total + answers[i]) / (len(chosen) + 1), labels, weights)
            for i in range(len(answers))
            if i not in chosen and is_allowed([*chosen, i])
        }
        added = min(losses, key=lambda i: losses[i], default=None)
        if added is None or not losses[added] < best - (least_gain if chosen else 0.0):
            break
        chosen.append(added)
        total, best = total + answers[added], losses[added]
    return chosen
