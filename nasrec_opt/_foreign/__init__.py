"""What is used of other libraries beyond their public interface: one module for each library.

Nothing else in this package reads a private name, a table, an attribute key or the text of a
warning of another library. Every use has a way around it through the public interface, taken where
the library has another shape: it costs time, never data. `tests/foreign` holds each library to the
shape that is expected, and takes the ways around.
"""

from __future__ import annotations

CHECKED = {  # the versions whose shape was read; constraints.txt names the same
    "ax-platform": "1.3.1",
    "mlflow": "3.17.2",
    "optuna": "5.0.0",
    "optuna-dashboard": "0.21.0",
}
