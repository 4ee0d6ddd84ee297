"""Networks on disk: a folder with the weights as safetensors and the rest as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from nasrec_opt._files import atomic_directory, read_json, write_json
from nasrec_opt.errors import NasrecError, StudyError
from nasrec_opt.supernet._network import Network

WEIGHTS = "weights.safetensors"
DESCRIPTION = "model.json"


def save_network(
    network: Network,
    path: Path | str,
    values: dict[str, Any],
    files: Mapping[str, Any] | None = None,
) -> None:
    """Write weights, description and further JSON files as one folder, whole or not at all."""
    with atomic_directory(path) as folder:
        weights = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
        save_file(weights, folder / WEIGHTS)
        (folder / WEIGHTS).chmod(0o644)  # safetensors creates private files; these may be shared
        described = {
            "features": network.features.to_dict(),
            "max_table_rows": network.max_table_rows,
        }
        write_json(folder / DESCRIPTION, values | described)
        for name, value in (files or {}).items():
            write_json(folder / f"{name}.json", value)


def read_description(path: Path, kind: str) -> dict[str, Any]:
    """The JSON beside the weights.

    Raises:
        StudyError: It is missing, not JSON, or of another kind.
    """
    file = path / DESCRIPTION
    try:
        values = read_json(file)
    except FileNotFoundError:
        raise StudyError(f"{path}: expected a {kind}, found no {DESCRIPTION}") from None
    except (OSError, ValueError) as error:
        raise StudyError(f"{file}: expected the description of a {kind}, got {error}") from error
    if not isinstance(values, dict) or values.get("kind") != kind:
        found = values.get("kind") if isinstance(values, dict) else values
        raise StudyError(f"{file}: expected kind {kind!r}, got {found!r}")
    return values


@contextmanager
def required(file: Path) -> Iterator[None]:
    """Turn a missing key, or one of another type, in the content of `file` into a `StudyError`."""
    try:
        yield
    except (KeyError, TypeError, AttributeError) as error:
        raise StudyError(f"{file}: expected a complete description, got: {error!r}") from error


def load_weights(network: Network, path: Path) -> None:
    """Read the weights of a folder into a network of the same shape.

    Raises:
        StudyError: The file is missing, damaged, or of another shape.
    """
    file = path / WEIGHTS
    try:
        network.load_state_dict(load_file(file))
    except (OSError, SafetensorError) as error:
        raise StudyError(f"{file}: expected a checkpoint in safetensors, got: {error}") from error
    except (RuntimeError, NasrecError) as error:
        reason = str(error).splitlines()[0]
        raise StudyError(f"{file}: expected the weights of this model, got: {reason}") from error
