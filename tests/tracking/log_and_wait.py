"""Runs a study, logged to MLflow, until it is killed: `log_and_wait.py STUDY.db MLFLOW.db`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tracking import studies

from nasrec_opt.tracking import MLflowLogger

if __name__ == "__main__":
    study = studies.create(f"sqlite:///{sys.argv[1]}")
    logger = MLflowLogger(f"sqlite:///{sys.argv[2]}")
    logger.sync(study)
    study.optimize(studies.objective, callbacks=[logger])
