"""Keeps secrets out of the state file.

Each state file has a random key of its own, in `<state file>.key` with mode 0600, made when the first secret is
stored. Secrets are encrypted rather than left out, because the next run must be able to compare them and another
stack must be able to read a secret output. Whoever holds both files can read them: this is the emulated cloud's
state, never the place of a real credential.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from infra.rehearsal.engine.results import StateError


class Vault:
    """Encrypts values with the key beside a state file. Without a path nothing is ever stored, so no key is made."""

    def __init__(self, key_file: Path):
        self._key_file = key_file
        self._cipher: Any = None

    def seal(self, value: Any) -> str:
        """The value as text that can't be read without the key."""
        return self._open(create=True).encrypt(json.dumps(value).encode()).decode()

    def unseal(self, text: str) -> Any:
        """The value again. StateError when the key is missing or is another's."""
        from cryptography.fernet import InvalidToken

        try:
            return json.loads(self._open(create=False).decrypt(text.encode()))
        except InvalidToken:
            raise StateError(
                f"{self._key_file} is not the key that the state's secrets were encrypted with: restore the right key, "
                "or delete the state file and the key and rehearse anew"
            ) from None

    def _open(self, *, create: bool) -> Any:
        if self._cipher is None:
            from cryptography.fernet import Fernet

            if create and not self._key_file.exists():
                self._key_file.parent.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(self._key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(Fernet.generate_key())
            try:
                self._cipher = Fernet(self._key_file.read_bytes())
            except FileNotFoundError:
                raise StateError(
                    f"{self._key_file} is missing, so the secrets in the state can't be read: restore it, "
                    "or delete the state file and rehearse anew"
                ) from None
            except ValueError:
                raise StateError(f"{self._key_file} doesn't hold a key: restore it") from None
        return self._cipher
