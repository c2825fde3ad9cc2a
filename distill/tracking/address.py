"""Where a tracking server or database is, and what of that may be shown."""

import re
from pathlib import Path

from distill.errors import Fault, RecipeError, StoreError

_CREDENTIALS = re.compile(r"(?<=://)(?:[^\s/?#]*|[^\s/:@]+:(?!\d+/)[^\s@]*)@")
"""User and password before the host. A database's password may hold a slash; `host:port/` is no such password."""

_SECRETS = re.compile(r"(?<=[?&])((?:\w*(?:password|passwd|token|secret))|sig|api_?key)=[^&\s'\"]+", re.IGNORECASE)
"""Secrets among the parameters of an address."""


def redacted(text: str) -> str:
    """The text without the passwords and tokens of the addresses in it.

    >>> redacted("sent to https://ann:secret@tracking.example/api")
    'sent to https://***@tracking.example/api'
    """
    return _SECRETS.sub(r"\1=***", _CREDENTIALS.sub("***@", text))


def database_file(uri: str) -> Path | None:
    """The absolute path of a sqlite database; None where the address is another kind of database or a server.

    >>> database_file("https://tracking.example") is None
    True
    """
    scheme, _, path = uri.partition(":///")
    if scheme.split("+")[0] != "sqlite":
        return None
    return Path(path.partition("?")[0]).absolute()


def absolute(uri: str) -> str:
    """The same address, good from any current folder."""
    file = database_file(uri)
    return f"sqlite:///{file}" if file else uri


def is_server(uri: str) -> bool:
    """Whether the address is that of a running server, rather than of its database."""
    return uri.startswith(("http://", "https://"))


def check(uri: str) -> None:
    """Refuses an address under which nothing lasting can be written.

    Raises:
        RecipeError: a plain folder, which MLflow refuses, or a database in memory.
    """
    if "://" in uri and not uri.startswith("file:") and uri not in ("sqlite://", "sqlite:///", "sqlite:///:memory:"):
        return
    raise RecipeError(
        Fault(
            "tracking.uri",
            f'"{redacted(uri)}" is neither a database nor a server.',
            "Write sqlite:///FILE, another SQLAlchemy address, or http(s)://HOST.",
        )
    )


def require_database(uri: str) -> None:
    """Refuses a database file that is not there, which MLflow would make.

    Raises:
        StoreError: it is not there.
    """
    database = database_file(uri)
    if database and not database.exists():
        raise StoreError(Fault(str(database), "there is no tracking database yet.", "`distill run RECIPE` creates it."))
