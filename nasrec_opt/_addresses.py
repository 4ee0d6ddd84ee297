"""Addresses of servers: whether one listens, and how a password gets into one.

An address that is written down has the name of an environment variable, `${NAME}`, where a secret
belongs. The variable is read when a connection is made, and nothing else sees its value.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
from urllib.parse import quote, unquote

from nasrec_opt._secrets import keep_secret
from nasrec_opt.errors import StudyError

KNOCK_S = 5.0  # how long a server may take to answer at all
VARIABLE = re.compile(r"\$\{(\w+)\}")
PASSWORD = re.compile(r"(?:^|//)[^:/@]*:(?!//)(.+)@")
OPTION = re.compile(r"[?&;][^=&;]*(?:pass|pwd|secret|token)[^=&;]*=([^&;]*)", re.IGNORECASE)


def knock(host: str, port: int) -> None:
    """Check that a server listens; its own client would try for minutes.

    Args:
        host: Name or address.
        port: TCP port.

    Raises:
        OSError: It does not.
    """
    socket.create_connection((host, port), KNOCK_S).close()


def require_no_secret(name: str, address: str) -> None:
    """Refuse an address with a password, which would be written down with it.

    Args:
        name: Of the option, for the message, which does not show the address.
        address: The address.

    Raises:
        StudyError: It has a password that is not the name of an environment variable.
    """
    if any(VARIABLE.sub("", secret) for secret in _secrets_in(address)):
        raise StudyError(
            f"{name}: expected a password as the name of an environment variable, such as "
            "${PASSWORD}, got the password itself"
        )


def resolved(name: str, address: str) -> str:
    """An address with the values of environment variables, for the client that connects to it.

    What is in them is hidden from all that is said later on.

    Args:
        name: Of the option, for a message.
        address: As it is written down. A variable that is all of it has the whole address, another
            one a part, which is percent-encoded.

    Raises:
        StudyError: A variable is not set.
    """

    def value_of(found: re.Match[str]) -> str:
        value = os.environ.get(found[1])
        if value is None:
            raise StudyError(
                f"{name}: expected the environment variable {found[1]}, which is not set"
            )
        keep_secret(value, found[0])
        keep_secret(quote(value, safe=""), found[0])
        return value if found[0] == address else quote(value, safe="")

    whole = VARIABLE.sub(value_of, address)
    if whole != address:
        for secret in _secrets_in(whole):
            for form in (secret, unquote(secret)):
                if not VARIABLE.search(form):
                    keep_secret(form, "***")
    return whole


def in_shell(address: str) -> str:
    """An address as an argument for a shell, which puts in the values of variables.

    Args:
        address: As it is written down.
    """
    if not VARIABLE.search(address):
        return shlex.quote(address)
    return '"' + re.sub(r'["`\\]|\$(?!\{\w+\})', r"\\\g<0>", address) + '"'


def _secrets_in(address: str) -> list[str]:
    return PASSWORD.findall(address) + OPTION.findall(address)
