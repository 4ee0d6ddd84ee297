"""Values of environment variables that must not be shown: they are replaced in whatever is said."""

from __future__ import annotations

_known: dict[str, str] = {}  # a secret of this process, and what stands for it


def keep_secret(secret: str, shown: str) -> None:
    """Have a text replaced from now on.

    Args:
        secret: The text.
        shown: What is shown instead of it.
    """
    if secret:
        _known[secret] = shown


def redacted(text: str) -> str:
    """A text without secrets.

    Args:
        text: What is about to be shown, logged or stored.

    Returns:
        The text with what stands for each secret.
    """
    for secret in sorted(_known, key=len, reverse=True):  # an address before the password in it
        text = text.replace(secret, _known[secret])
    return text
