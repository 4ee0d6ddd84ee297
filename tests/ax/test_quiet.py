"""Ax is kept quiet, and nobody else."""

from __future__ import annotations

import logging

import pytest

pytest.importorskip("ax", reason="the extra 'ax' is not installed")

from nasrec_opt.ax._quiet import quiet, require_ax


@pytest.mark.parametrize(
    ("name", "level", "is_shown"),
    [
        ("ax.service.client", logging.INFO, False),
        ("ax", logging.WARNING, True),
        ("axolotl", logging.INFO, True),
        ("nasrec_opt.objective", logging.DEBUG, True),
        ("root", logging.INFO, True),
    ],
)
def test_handlers_of_ax_leave_out_its_own_remarks_alone(name, level, is_shown):
    handler = logging.NullHandler()
    logging.getLogger("ax").addHandler(handler)
    try:
        require_ax()
        record = logging.makeLogRecord({"name": name, "levelno": level})
        assert bool(handler.filter(record)) is is_shown
        with quiet():
            warning = logging.makeLogRecord({"name": name, "levelno": logging.WARNING})
            assert bool(handler.filter(warning)) is (name.split(".")[0] != "ax")
    finally:
        logging.getLogger("ax").removeHandler(handler)
