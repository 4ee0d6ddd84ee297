"""An exported graph on disk, how raw rows are read, and what both are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from nasrec_opt._files import read_json, write_json
from nasrec_opt.data import Preprocessor
from nasrec_opt.errors import DataError, StudyError
from nasrec_opt.features import FeatureSpec
from nasrec_opt.serving._places import EXPORT, PREPROCESSOR, preprocessor_for

Graph = Literal["onnx", "torch"]
Format = Literal["onnx", "torch", "mlflow"]

GRAPHS: dict[Graph, str] = {"onnx": "model.onnx", "torch": "model.pt2"}
LOADERS: dict[Graph, str] = {"onnx": "OnnxPredictor", "torch": "TorchPredictor"}
VERSION = 1


@dataclass(frozen=True, slots=True)
class Bundle:
    """The folder of an exported model.

    Args:
        folder: The folder.
        format: What its graph is written in.
        features: The shape of the graph's inputs.
    """

    folder: Path
    format: Graph
    features: FeatureSpec

    @property
    def graph(self) -> Path:
        """The file of the graph."""
        return self.folder / GRAPHS[self.format]

    def preprocessor(self) -> Preprocessor:
        """Load what reads rows as the model does.

        Raises:
            DataError: It is damaged.
        """
        return preprocessor_for(self.folder / PREPROCESSOR, self.features)

    def write(self, preprocessor: Preprocessor, **more: Any) -> None:
        """Write everything but the graph.

        Args:
            preprocessor: Reads rows as the model does.
            more: JSON values that describe the graph.
        """
        preprocessor.save(self.folder / PREPROCESSOR)
        dense, sparse = preprocessor.column_names
        values = {
            "version": VERSION,
            "format": self.format,
            "graph": self.graph.name,
            "features": self.features.to_dict(),
            "inputs": {
                "dense": {"type": "float32", "columns": list(dense)},
                "sparse": {"type": "int32", "columns": list(sparse)},
            },
            "outputs": ["logit", "probability"],
            **more,
        }
        write_json(self.folder / EXPORT, values)

    @classmethod
    def read(cls, folder: Path, wanted: Graph | None = None) -> Bundle:
        """Read what `write` wrote.

        Args:
            folder: The folder.
            wanted: The format that it must have, or None for any.

        Raises:
            StudyError: It is no exported model, one of another format, or a damaged one.
        """
        file = folder / EXPORT
        try:
            values = read_json(file)
            found, features = values["format"], FeatureSpec.from_dict(values["features"])
        except (FileNotFoundError, NotADirectoryError):
            raise StudyError(
                f"{folder}: expected the folder of an exported model, found no {EXPORT}"
            ) from None
        except (OSError, ValueError, KeyError, TypeError, DataError) as error:
            raise StudyError(f"{file}: expected an exported model, got: {error}") from error
        if found not in get_args(Graph):
            raise StudyError(f"{file}: format: expected {_either(Graph)}, got {found!r}")
        if wanted not in (None, found):
            raise StudyError(
                f"{folder}: expected a model exported as {wanted}, got one as {found}, which "
                f"nasrec_opt.serving.{LOADERS[found]} loads"
            )
        return cls(folder, found, features)


def check_format(given: str) -> Format:
    """Refuse an unknown format.

    Args:
        given: Its name.

    Returns:
        The same name.

    Raises:
        StudyError: It is unknown.
    """
    if given not in get_args(Format):
        raise StudyError(f"format: expected {_either(Format)}, got {given!r}")
    return cast("Format", given)


def check_new(out: Path | str) -> Path:
    """Refuse a folder that holds something.

    Args:
        out: The folder that will be written.

    Returns:
        Its path.

    Raises:
        StudyError: It holds something, or it is a file.
    """
    out = Path(out)
    if out.exists() and not (out.is_dir() and next(out.iterdir(), None) is None):
        found = "a folder that holds files" if out.is_dir() else "a file"
        raise StudyError(f"{out}: expected a new or empty folder, found {found}")
    return out


def _either(names: Any) -> str:
    *most, last = get_args(names)
    return f"{', '.join(most)} or {last}"
