"""An Ax client that searches genotypes, made from an objective or loaded again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from nasrec_opt._foreign.ax import experiment_of
from nasrec_opt.ax._parameters import Encoding, to_ax
from nasrec_opt.ax._quiet import quiet, require_ax
from nasrec_opt.errors import StudyError
from nasrec_opt.options import AxConfig, Strategy
from nasrec_opt.samplers._draw import check_seed

if TYPE_CHECKING:
    from ax.api.client import Client

    from nasrec_opt.objective import Objective
    from nasrec_opt.space import SearchSpace


def make_client(
    objective: Objective,
    *,
    name: str = "nasrec",
    strategy: Strategy = AxConfig.strategy,
    seed: int = 0,
    url: str | None = None,
) -> Client:
    """Create an Ax client that is ready to run.

    Search space, objectives, constraints, runner, metrics and strategy are set.

    Args:
        objective: What is minimised, and how genotypes are evaluated.
        name: Name of the experiment.
        strategy: `pool_bayes` is ours, `PoolNode`; `ax` is Ax's own default.
        seed: Seed of all draws.
        url: Database in which Ax keeps the experiment, for example `sqlite:///ax.db`, or None for
            no database; `client.save_to_json_file` then keeps it.

    Returns:
        A client that is ready for `run_trials`.

    Raises:
        MissingExtraError: Ax is not installed.
        StudyError: There is no such strategy, the database cannot be opened or already has an
            experiment of that name, or the only objective also has a constraint.

    Example:
        >>> from hw import ReRAM
        >>> from nasrec_opt import Objective, OracleOptions, SupernetOracle
        >>> options = OracleOptions(rows=500)
        >>> oracle = SupernetOracle.load("runs/quickstart/supernet", options=options)
        >>> objective = Objective(oracle.supernet.space, oracle, ReRAM())
        >>> client = make_client(objective, seed=0)
        >>> client.run_trials(max_trials=4)
        >>> front = client.get_pareto_frontier(use_model_predictions=False)
        >>> sorted(front[0][1])
        ['energy_uj', 'latency_us', 'log_loss']
    """
    client = search_client(
        objective.space,
        metric_names=objective.metric_names,
        constraints=objective.constraints,
        name=name,
        strategy=strategy,
        seed=seed,
        url=url,
    )
    from nasrec_opt.ax._evaluation import ObjectiveMetric, ObjectiveRunner

    measured = dict.fromkeys((*objective.metric_names, *objective.constraints))
    client.configure_metrics([ObjectiveMetric(metric) for metric in measured])
    client.configure_runner(ObjectiveRunner(objective, encoding_of(strategy)))
    return client


def load_client(
    objective: Objective,
    *,
    path: Path | str | None = None,
    url: str | None = None,
    name: str = "nasrec",
) -> Client:
    """Load a client from the file of `client.save_to_json_file` or from a database.

    With our strategy it proposes what the saved client would have proposed next.

    Args:
        objective: Evaluates genotypes; it is not part of the saved client.
        path: The JSON file, or None if `url` is given.
        url: The database, or None if `path` is given.
        name: Name of the experiment in the database.

    Returns:
        The client, with all trials of the experiment.

    Raises:
        MissingExtraError: Ax is not installed.
        StudyError: Both or neither of `path` and `url` are given; or there is no such file or
            experiment, or it belongs to another search space or has other objectives.
    """
    if (path is None) == (url is None):
        raise StudyError(f"path, url: expected one of them, got path {path!r} and url {url!r}")
    require_ax()
    from nasrec_opt.ax._evaluation import ObjectiveRunner

    with quiet():
        client = _read_json(Path(path)) if path is not None else _read_database(str(url), name)
    where = str(path or url)
    runner = experiment_of(client).runner
    if not isinstance(runner, ObjectiveRunner):
        raise StudyError(f"{where}: expected a client of make_client, got one with {runner!r}")
    encoding = runner.encoding
    _check_same(client, objective, encoding, where)
    client.configure_runner(ObjectiveRunner(objective, encoding))
    return client


def search_client(
    space: SearchSpace,
    *,
    metric_names: Sequence[str],
    constraints: Mapping[str, float],
    name: str,
    strategy: Strategy,
    seed: int,
    url: str | None = None,
) -> Client:
    """A client that proposes genotypes and evaluates none.

    Args:
        space: What is searched.
        metric_names: The objectives, all minimised.
        constraints: Largest value allowed, by metric.
        name: Of the experiment.
        strategy: As in `make_client`.
        seed: Seed of all draws.
        url: As in `make_client`.

    Raises:
        MissingExtraError: Ax is not installed.
        StudyError: As in `make_client`.
    """
    encoding = encoding_of(strategy)
    seed = check_seed(seed)
    check_goals(metric_names, constraints)
    require_ax()
    from ax.api.client import Client

    from nasrec_opt.ax._node import PoolNode, pool_strategy
    from nasrec_opt.ax._storage import database, register

    register()
    client = Client(storage_config=database(url) if url else None, random_seed=seed)
    try:
        client.configure_experiment(to_ax(space, encoding), name=name)
    except ValueError as error:
        if url is None:
            raise
        raise StudyError(
            f"{url}: expected no experiment {name!r} yet, got one; load_client loads it"
        ) from error
    client.configure_optimization(
        objective=", ".join(f"-{metric}" for metric in metric_names),
        outcome_constraints=[f"{metric} <= {largest!r}" for metric, largest in constraints.items()],
    )
    if strategy == "pool_bayes":
        node = PoolNode(space, encoding=encoding, seed=seed)
        client.set_generation_strategy(pool_strategy(node))
    else:
        client.configure_generation_strategy(initialization_random_seed=seed)
    return client


def check_goals(metric_names: Sequence[str], constraints: Mapping[str, float]) -> None:
    """Refuse objectives and constraints that Ax does not support.

    Raises:
        StudyError: The only objective has a constraint.
    """
    if len(metric_names) == 1 and metric_names[0] in constraints:
        raise StudyError(
            f"constraints: expected metrics other than the only objective, got {metric_names[0]}, "
            "and Ax cannot constrain a single objective"
        )


def encoding_of(strategy: Strategy) -> Encoding:
    """The encoding for a strategy.

    Raises:
        StudyError: There is no such strategy.
    """
    if strategy not in get_args(Strategy):
        raise StudyError(f"strategy: expected 'pool_bayes' or 'ax', got {strategy!r}")
    return "tree" if strategy == "pool_bayes" else "flat"


def _read_json(path: Path) -> Client:
    from ax.api.client import Client
    from ax.exceptions.storage import JSONDecodeError

    from nasrec_opt.ax._storage import register

    register()
    try:
        return Client.load_from_json_file(str(path))
    except FileNotFoundError:
        raise StudyError(f"{path}: expected a client's JSON file, found nothing there") from None
    except (OSError, json.JSONDecodeError, JSONDecodeError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StudyError(f"{path}: expected a client's JSON file, got: {reason}") from error


def _read_database(url: str, name: str) -> Client:
    from ax.api.client import Client
    from ax.exceptions.core import ObjectNotFoundError

    from nasrec_opt.ax._storage import database

    try:
        return Client.load_from_database(name, storage_config=database(url))
    except (ObjectNotFoundError, ValueError) as error:
        raise StudyError(f"{url}: expected the experiment {name!r}, found none") from error


def _check_same(client: Client, objective: Objective, encoding: Encoding, where: str) -> None:
    experiment = experiment_of(client)
    wanted, found = (
        {config.name for config in to_ax(objective.space, encoding)},
        set(experiment.search_space.parameters),
    )
    if wanted != found:
        name = min(wanted ^ found)
        raise StudyError(
            f"{where}: belongs to another search space: the parameter {name} is in one alone"
        )
    config = experiment.optimization_config
    names = [] if config is None else config.objective.metric_names
    if tuple(names) != objective.metric_names:
        raise StudyError(
            f"{where}: has other objectives: expected {', '.join(objective.metric_names)}, got "
            f"{', '.join(names)}"
        )
