"""What the release hooks reach AWS with: a session that is handed in, of the right account."""

from collections.abc import Callable
from typing import Any

from mainstage_runtime.release_history import error_code

Session = Callable[[], Any]
"""Makes what clients are made from (`client(service)`), in the release's region."""

GONE = frozenset({"NoSuchKey", "404", "NotFound"})


class Unknown(Exception):
    """What is live could not be found out."""


def signed_in(session: Session, account_id: str) -> tuple[Any, str]:
    """A session of this account, and who it is. Raises Unknown for another account."""
    made = session()
    caller = made.client("sts").get_caller_identity()
    if caller["Account"] != account_id:
        raise Unknown(f"the credentials are of account {caller['Account']}, the endpoint is in {account_id}")
    return made, caller["Arn"]


def said(error: BaseException) -> str:
    """An error for a person, without anything of the request."""
    code = error_code(error)
    if code:
        details = getattr(error, "response", {}).get("Error", {})
        operation = getattr(error, "operation_name", "")
        # Of a signature that does not fit AWS repeats the signed request in further lines, session token and all.
        words = str(details.get("Message", "")).partition("\n")[0]
        return f"{operation} was answered with {code}: {words}".strip()
    return str(error) if isinstance(error, Unknown) else f"{type(error).__name__}: {error}"
