"""One log twice: rows with whole numbers as weights, and the same rows repeated as often."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from nasrec_opt.data import Dataset, generate_synthetic

SPLITS = ("train", "validation", "test")


def weighted_and_repeated(folder: Path, rows: int = 1500, seed: int = 0) -> tuple[Dataset, Dataset]:
    """A dataset with weights 0 to 4, and one where rows are repeated as often."""
    plain = generate_synthetic(folder / "plain", rows=rows, seed=seed)
    rng = np.random.default_rng(seed)
    weights = {name: rng.integers(0, 5, plain.split(name).num_rows) for name in SPLITS}
    found = []
    for kind in ("weighted", "repeated"):
        path = folder / kind
        shutil.copytree(plain.path, path)
        meta = json.loads((path / "dataset.json").read_text())
        for name in SPLITS:
            if kind == "weighted":
                meta["is_weighted"] = True
                np.save(path / name / "weights.npy", weights[name].astype(np.float32))
                continue
            meta["rows"][name] = int(weights[name].sum())
            for array in ("dense", "sparse", "labels"):
                file = path / name / f"{array}.npy"
                np.save(file, np.repeat(np.load(file), weights[name], axis=0))
        meta["checksums"]["kind"] = kind
        (path / "dataset.json").write_text(json.dumps(meta))
        found.append(Dataset.open(path))
    return found[0], found[1]
