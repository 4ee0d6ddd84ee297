"""Options of where work is done: `[ray]` of a study file."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nasrec_opt.errors import StudyError

ADDRESS = re.compile(r"(ray://)?(\[[0-9a-fA-F:.]+\]|[^\s/:@\[\]]+):\d{1,5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RayConfig:
    """The Ray cluster that evaluates trials and trains models: `[ray]` of a study file.

    Args:
        address: `HOST:PORT` of the head of a Ray cluster, from one of its machines; `auto` for the
            cluster that this machine is in; `ray://HOST:PORT` of its client server, from elsewhere
            (docs/howto/many_machines.md). `--ray ADDRESS` replaces it. None means the processes of
            this machine.

    Raises:
        StudyError: The address is none of these.
    """

    address: str | None = None

    def __post_init__(self) -> None:
        if self.address not in (None, "auto") and not ADDRESS.fullmatch(str(self.address)):
            raise StudyError(
                "address: expected 'HOST:PORT' of a Ray cluster, 'ray://HOST:PORT' or 'auto', got "
                f"{self.address!r}"
            )
