"""The token key's file: creating it, and reading it only when nobody else can."""

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from fraudstream.errors import UserError

if TYPE_CHECKING:
    from models.tokens import Tokeniser

_CREATE = "create one with `fraudstream config new-token-key --out FILE`"


def write_new_key(path: Path, version: int = 1) -> None:
    """Write a fresh key, readable by its owner only. Never replaces a file: tokens made with it would be orphans."""
    from models.tokens import new_key

    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UserError(f"{path} exists already", hint="a key is never overwritten: choose another file") from None
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}", hint="choose a directory you may write to") from None
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{version}:{new_key().hex()}\n")
        file.flush()
        os.fsync(file.fileno())


def load_tokeniser(path: Path | None) -> "Tokeniser":
    """The tokeniser of a key file. Raises UserError without one, or when everybody can read it."""
    from models.tokens import Tokeniser

    if path is None:
        raise UserError("no token key is set", hint=f"set --token-key-file; {_CREATE}")
    if path.exists() and path.stat().st_mode & stat.S_IROTH:
        hint = f"chmod 600 {path} (a Kubernetes secret: defaultMode: 0440)"
        raise UserError(f"everybody on this machine can read the token key {path}", hint=hint)
    return Tokeniser.load(path)
