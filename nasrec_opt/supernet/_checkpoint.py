"""Checkpoints of an unfinished training: weights, the optimizer's state, and the steps done.

A new checkpoint is written beside the last one, which is removed only afterwards. So a kill at any
moment leaves a complete checkpoint.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from nasrec_opt._files import atomic_directory, read_json, write_json
from nasrec_opt.errors import StudyError
from nasrec_opt.supernet._optimizer import SliceAdagrad
from nasrec_opt.supernet._supernet import Supernet
from nasrec_opt.supernet._training_settings import first_difference

FOLDER = "checkpoint"
DESCRIPTION = "checkpoint.json"


class Checkpoint:
    """The checkpoint of one training.

    Args:
        out_dir: Folder of the training; the checkpoint is below it.
        supernet: The network that is trained.
        optimizer: Its optimizer.
        settings: Everything that the result depends on, as JSON values.
    """

    def __init__(
        self, out_dir: Path, supernet: Supernet, optimizer: SliceAdagrad, settings: dict[str, Any]
    ) -> None:
        self._folder = out_dir / FOLDER
        self._supernet = supernet
        self._optimizer = optimizer
        self._settings = json.loads(json.dumps(settings))

    def take_up(self) -> int:
        """Restore weights and state, and return the steps done then; 0 without a checkpoint.

        Raises:
            StudyError: The checkpoint is of another training, or cannot be read.
        """
        found = self._written()
        if not found:
            return 0
        folder = found[-1]
        try:
            description = read_json(folder / DESCRIPTION)
            steps, settings = int(description["steps"]), dict(description["settings"])
            self._require_same(settings)
            self._optimizer.load_state_dict(load_file(folder / "optimizer.safetensors"))
            self._supernet.load_state_dict(load_file(folder / "weights.safetensors"))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            reason = str(error).splitlines()[0]
            raise StudyError(
                f"{folder}: expected a checkpoint, got: {reason}; remove it to begin anew"
            ) from error
        return steps

    def write(self, steps: int) -> None:
        """Write a checkpoint for `take_up`, whole or not at all.

        Args:
            steps: Steps done.
        """
        before = self._written()
        with atomic_directory(self._folder / f"{steps:012d}") as folder:
            _save(self._supernet.state_dict(), folder / "weights.safetensors")
            _save(self._optimizer.state_dict(), folder / "optimizer.safetensors")
            write_json(folder / DESCRIPTION, {"steps": steps, "settings": self._settings})
        # Earlier checkpoints, and those that a killed process left half-written.
        for old in (*before, *self._folder.glob(".*")):
            shutil.rmtree(old)

    def _written(self) -> list[Path]:
        return sorted(folder for folder in self._folder.glob("[0-9]*") if folder.is_dir())

    def _require_same(self, settings: dict[str, Any]) -> None:
        found = first_difference(settings, self._settings)
        if found:
            name, then, now = found
            raise StudyError(
                f"{self._folder}: a checkpoint of another training: {name} was {then!r}, is "
                f"{now!r} now; remove it to begin anew"
            )


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, path)
