"""How an oracle scores a genotype."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar, get_args

from nasrec_opt._plain import put_plain
from nasrec_opt.errors import StudyError, described
from nasrec_opt.options._choices import PrecisionChoice, RankedBits, check_precision
from nasrec_opt.options._oracle import AdagradFit, FineTune, Scratch
from nasrec_opt.options._racing import Racing

Fidelity = Literal["supernet", "last_layer", "fine_tune", "scratch"]
LastLayer = Literal["newton", "folds", "adagrad"]
Options = TypeVar("Options", bound="OracleOptions")


@dataclass(frozen=True, slots=True, kw_only=True)
class OracleOptions:
    """How a genotype's log loss is found: of a `SupernetOracle`, and `[oracle]` of a study file.

    Args:
        rows: Number of validation rows of a query, evenly spread and the same for every genotype;
            or `racing` (in Python `Racing()`): trials see more rows as long as these could bring
            them onto the front, for the fidelity `supernet`, and `last_layer` without folds
            (docs/decisions/racing.md). None means all.
        fidelity: `supernet` uses the weights as they are; `last_layer` fits the final layer again
            for each genotype (paper, section 5.1); `fine_tune` trains its whole model for some more
            steps; `scratch` trains it from fresh weights.
        last_layer: How `fidelity = "last_layer"` fits: `newton` to the optimum of the ridge problem
            on training rows; `folds` in the same way, four times, on three quarters of the
            validation rows to predict the fourth; `adagrad` by the published 500 steps on fresh
            training rows (docs/ranking.md).
        fit_rows: Rows of that fit, evenly spread: training rows of `newton`, validation rows of all
            `folds`. More rows rank better and take longer; `adagrad` has options of its own. None
            means 8,192, or 16,384 for folds.
        precision: Precision of products and block outputs where weights are shared. `bfloat16` is
            faster on processors that have it, takes half the memory, and ranks nearly alike, except
            in spaces with bits, whose rounding turns small differences into whole levels. `auto` is
            bfloat16 where the device has instructions for it and nothing is rounded to bits,
            otherwise float32. The default is float32, so that answers do not depend on the
            processor; a study file's is `auto`, since its run folder records the choice.
        bits: `genotype` scores every model at its own bits, as its cost does; `float`, only for
            spaces with 8 bits alone, ranks models in floating point, which orders them nearly alike
            (docs/decisions/bits.md), and also scores those that are retrained at their bits.
        adagrad: Options of `last_layer="adagrad"`.
        fine_tune: Options of `fidelity="fine_tune"`.
        scratch: Options of `fidelity="scratch"`.

    Raises:
        StudyError: An option is out of range, or of another kind.

    Example:
        >>> OracleOptions(fidelity="fine_tune", fine_tune=FineTune(steps=8)).trained().steps
        8
    """

    rows: int | Literal["racing"] | Racing | None = None
    fidelity: Fidelity = "supernet"
    last_layer: LastLayer = "newton"
    fit_rows: int | None = None
    precision: PrecisionChoice = "float32"
    bits: RankedBits = "genotype"
    adagrad: AdagradFit = field(default_factory=AdagradFit)
    fine_tune: FineTune = field(default_factory=FineTune)
    scratch: Scratch = field(default_factory=Scratch)

    def __post_init__(self) -> None:
        put_plain(self)
        for name, known in (
            ("fidelity", get_args(Fidelity)),
            ("last_layer", get_args(LastLayer)),
            ("bits", get_args(RankedBits)),
        ):
            value = getattr(self, name)
            if value not in known:
                raise StudyError(f"{name}: expected one of {', '.join(known)}, got {value!r}")
        check_precision(self.precision)
        if self.rows == "racing":
            object.__setattr__(self, "rows", Racing())
        if not isinstance(self.rows, (int, Racing, type(None))):
            raise StudyError(f"rows: expected a number or 'racing', got {described(self.rows)}")
        self._check_race()
        for name in ("rows", "fit_rows"):
            count = getattr(self, name)
            if isinstance(count, Racing):
                continue
            if count is not None and count < 1:
                raise StudyError(f"{name}: expected 1 or more, got {count}")
        for name, kind in (("adagrad", AdagradFit), ("fine_tune", FineTune), ("scratch", Scratch)):
            table = getattr(self, name)
            if not isinstance(table, kind):
                raise StudyError(f"{name}: expected {kind.__name__}, got {described(table)}")

    @property
    def racing(self) -> Racing | None:
        """How rows are added to a query, or None where all queries have the same."""
        return self.rows if isinstance(self.rows, Racing) else None

    def _check_race(self) -> None:
        """Refuse a race where rows are not what takes the time, or are what is fitted on."""
        if self.racing is None:
            return
        if self.trained() is not None:
            raise StudyError(
                "rows: expected a number of rows where every model is trained, which takes longer "
                f"than the rows, got racing with fidelity = {self.fidelity!r}"
            )
        if self.fidelity == "last_layer" and self.last_layer == "folds":
            raise StudyError(
                "rows: expected a number of rows with last_layer = 'folds', whose fits are on "
                "validation rows, got racing"
            )

    def trained(self, seed: int | None = None) -> FineTune | Scratch | None:
        """Choose how subnets are trained before they are scored.

        Args:
            seed: Seed of that training, or None for its own.

        Returns:
            The options of the fidelity, or None where nothing is trained.
        """
        options = self if seed is None else self.with_seed(seed)
        if self.fidelity == "fine_tune":
            return options.fine_tune
        return options.scratch if self.fidelity == "scratch" else None

    def fitted(self, seed: int | None = None) -> Literal["newton", "folds"] | AdagradFit:
        """Choose how the final layer is fitted, where it is.

        Args:
            seed: Seed of the order of rows, or None for its own.

        Returns:
            The name of the fit, or the options of Adagrad's.
        """
        if self.last_layer != "adagrad":
            return self.last_layer
        return self.adagrad if seed is None else replace(self.adagrad, seed=seed)

    def with_seed(self: Options, seed: int) -> Options:
        """Give every training and fit the same seed.

        Args:
            seed: The seed.

        Returns:
            The same options otherwise.
        """
        return replace(
            self,
            adagrad=replace(self.adagrad, seed=seed),
            fine_tune=replace(self.fine_tune, seed=seed),
            scratch=replace(self.scratch, seed=seed),
        )

    def unread(self) -> set[str]:
        """List the options that change no answer at this fidelity.

        Returns:
            Their names.
        """
        fits = self.fidelity == "last_layer"
        names = {"fine_tune", "scratch"} - {self.fidelity}
        names |= {"precision"} if self.fidelity in ("fine_tune", "scratch") else set()
        names |= set() if fits else {"last_layer"}
        is_adagrad = fits and self.last_layer == "adagrad"
        names |= {"fit_rows"} if is_adagrad or not fits else set()
        return names | (set() if is_adagrad else {"adagrad"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OracleConfig(OracleOptions):
    """How a trial's log loss is found: `[oracle]` of a study file.

    These are the `OracleOptions`; one default differs.

    Args:
        precision: Precision of products and block outputs where weights are shared. `auto` is
            `bfloat16` where the device has instructions for it and nothing is rounded to bits,
            otherwise `float32`; a run keeps what it began with (docs/decisions/precision.md).

    Raises:
        StudyError: An option is out of range, or of another kind.
    """

    precision: PrecisionChoice = "auto"
