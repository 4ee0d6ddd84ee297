"""How long a test waits for another process or thread: on a slow machine as long as it takes."""

PATIENCE_S = 900.0  # whoever takes longer hangs
