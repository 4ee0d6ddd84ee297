"""A run from a click log to a report: stages, resume, and what the command line prints.

Public names are loaded on first use: the cost of one architecture needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasrec_opt._lazy import loader

if TYPE_CHECKING:
    from nasrec_opt.pipeline._competitors import Competitors, train_competitors
    from nasrec_opt.pipeline._config import StudyConfig
    from nasrec_opt.pipeline._console import ConsoleReporter, Reporter, SilentReporter, print_cost
    from nasrec_opt.pipeline._context import Context
    from nasrec_opt.pipeline._cost import architecture_cost
    from nasrec_opt.pipeline._folder import RunFolder
    from nasrec_opt.pipeline._given import GivenModels
    from nasrec_opt.pipeline._inspection_table import print_findings, print_inspection
    from nasrec_opt.pipeline._model_table import compare_models, train_baselines, write_table
    from nasrec_opt.pipeline._motif_table import print_motifs
    from nasrec_opt.pipeline._motifs import MotifGroup, motif_groups
    from nasrec_opt.pipeline._named import given_genotypes
    from nasrec_opt.pipeline._opening import how_to_open, open_run
    from nasrec_opt.pipeline._pruning import print_pruning, prune_model
    from nasrec_opt.pipeline._ranks import help_to_train, joined
    from nasrec_opt.pipeline._registering import register_model
    from nasrec_opt.pipeline._run import Run
    from nasrec_opt.pipeline._run_study import run_study
    from nasrec_opt.pipeline._stage import Stage
    from nasrec_opt.pipeline._target import Target, read_target
    from nasrec_opt.pipeline._truth import truth_of
    from nasrec_opt.pipeline._tuned_baselines import Budget
    from nasrec_opt.pipeline.stages import STAGES

__all__ = [
    "STAGES",
    "Budget",
    "Competitors",
    "ConsoleReporter",
    "Context",
    "GivenModels",
    "MotifGroup",
    "Reporter",
    "Run",
    "RunFolder",
    "SilentReporter",
    "Stage",
    "StudyConfig",
    "Target",
    "architecture_cost",
    "compare_models",
    "given_genotypes",
    "help_to_train",
    "how_to_open",
    "joined",
    "motif_groups",
    "open_run",
    "print_cost",
    "print_findings",
    "print_inspection",
    "print_motifs",
    "print_pruning",
    "prune_model",
    "read_target",
    "register_model",
    "run_study",
    "train_baselines",
    "train_competitors",
    "truth_of",
    "write_table",
]

_HOMES = {
    "STAGES": "stages",
    "Budget": "_tuned_baselines",
    "Competitors": "_competitors",
    "ConsoleReporter": "_console",
    "Context": "_context",
    "GivenModels": "_given",
    "MotifGroup": "_motifs",
    "Reporter": "_console",
    "Run": "_run",
    "RunFolder": "_folder",
    "SilentReporter": "_console",
    "Stage": "_stage",
    "StudyConfig": "_config",
    "Target": "_target",
    "architecture_cost": "_cost",
    "compare_models": "_model_table",
    "given_genotypes": "_named",
    "help_to_train": "_ranks",
    "how_to_open": "_opening",
    "joined": "_ranks",
    "motif_groups": "_motifs",
    "open_run": "_opening",
    "print_cost": "_console",
    "print_findings": "_inspection_table",
    "print_inspection": "_inspection_table",
    "print_motifs": "_motif_table",
    "print_pruning": "_pruning",
    "prune_model": "_pruning",
    "read_target": "_target",
    "register_model": "_registering",
    "run_study": "_run_study",
    "train_baselines": "_model_table",
    "train_competitors": "_competitors",
    "truth_of": "_truth",
    "write_table": "_model_table",
}

__getattr__ = loader(__name__, _HOMES)
