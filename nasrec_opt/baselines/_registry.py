"""The one table of hand-made models: a new one is a line here, and an adapter of its library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution

from nasrec_opt.baselines._network import Network
from nasrec_opt.baselines._options import BaselineOptions
from nasrec_opt.errors import MissingExtraError, StudyError
from nasrec_opt.features import FeatureSpec

Build = Callable[[FeatureSpec, BaselineOptions, int], Network]


def _tuned() -> dict[str, BaseDistribution]:
    return {
        "learning_rate": FloatDistribution(2e-4, 1e-2, log=True),
        "l2": FloatDistribution(1e-7, 1e-1, log=True),
        "dropout": FloatDistribution(0.0, 0.6),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineSpec:
    """A hand-made model.

    Args:
        name: Name in the API and on the command line.
        label: Name in tables.
        library: Distribution that has it, as on PyPI.
        load: Imports the library; raises `MissingExtraError` where it is not installed.
        build: Makes an untrained network from the columns, the hyperparameters and a seed; None
            for a model that is not trained step by step.
        space: What is tuned: a distribution for fields of `BaselineOptions`.
    """

    name: str
    label: str
    library: str
    load: Callable[[], Any]
    build: Build | None
    space: Mapping[str, BaseDistribution] = field(default_factory=_tuned)

    def is_installed(self) -> bool:
        """Check whether the library is there.

        Returns:
            True if it can be imported.
        """
        try:
            self.load()
        except MissingExtraError:
            return False
        return True


def _load_deepctr() -> Any:
    from nasrec_opt.baselines._deepctr import load_package

    return load_package()


def _deepctr(name: str, label: str, family: str, **extra: Any) -> BaselineSpec:
    def build(features: FeatureSpec, options: BaselineOptions, seed: int) -> Network:
        from nasrec_opt.baselines._deepctr import DeepCTR

        return DeepCTR(family, features, options, seed, **extra)

    return BaselineSpec(
        name=name, label=label, library="deepctr-torch", load=_load_deepctr, build=build
    )


def _load_fuxictr() -> Any:
    from nasrec_opt.baselines._fuxictr import load_package

    return load_package()


def _final_mlp(features: FeatureSpec, options: BaselineOptions, seed: int) -> Network:
    from nasrec_opt.baselines._fuxictr import FinalMLPNetwork

    return FinalMLPNetwork(features, options, seed)


def _load_torchrec() -> Any:
    from nasrec_opt.baselines._torchrec import load_package

    return load_package()


def _dlrm(features: FeatureSpec, options: BaselineOptions, seed: int) -> Network:
    from nasrec_opt.baselines._torchrec import DLRMNetwork

    return DLRMNetwork(features, options, seed)


def _load_sklearn() -> Any:
    import sklearn

    return sklearn


_ALL = (
    BaselineSpec(
        name="logistic-regression",
        label="logistic regression",
        library="scikit-learn",
        load=_load_sklearn,
        build=None,
        space={},  # its penalty is chosen from a list of its own
    ),
    _deepctr("wide-deep", "Wide & Deep", "WDL"),
    _deepctr("deepfm", "DeepFM", "DeepFM"),
    _deepctr("xdeepfm", "xDeepFM", "xDeepFM"),
    _deepctr("autoint", "AutoInt+", "AutoInt"),
    _deepctr("dcn", "DCN", "DCN"),
    _deepctr("dcn-v2", "DCN-v2", "DCN", cross_parameterization="matrix", cross_num=3),
    BaselineSpec(name="dlrm", label="DLRM", library="torchrec", load=_load_torchrec, build=_dlrm),
    BaselineSpec(
        name="finalmlp", label="FinalMLP", library="fuxictr", load=_load_fuxictr, build=_final_mlp
    ),
)
BASELINES: Mapping[str, BaselineSpec] = {spec.name: spec for spec in _ALL}


def baseline_spec(name: str) -> BaselineSpec:
    """Look a hand-made model up.

    Args:
        name: A key of `BASELINES`.

    Returns:
        The model.

    Raises:
        StudyError: There is none of that name.
    """
    if name not in BASELINES:
        raise StudyError(f"baseline: expected one of {', '.join(BASELINES)}, got {name!r}")
    return BASELINES[name]
