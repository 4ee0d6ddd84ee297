"""Uses of other libraries beyond their public interface: one module for each library.

Nothing else in this package reads a private name, a table, an attribute key or the text of a
warning of another library. Every use has a fallback through the public interface, for versions with
another shape; it costs time, never data. `tests/foreign` checks the expected shape of each library,
and the fallbacks.
"""

from __future__ import annotations

CHECKED = {  # the versions whose shape was read; constraints.txt names the same
    "ax-platform": "1.3.1",
    "mlflow": "3.17.2",
    "optuna": "5.0.0",
    "optuna-dashboard": "0.21.0",
}
