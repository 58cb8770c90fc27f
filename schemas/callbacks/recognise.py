"""bytes -> family, by content and never by Content-Type alone (protocol.md A.1)."""

from schemas.callbacks import kyx
from schemas.callbacks.callback import Callback, UnreadableCallbackError
from schemas.callbacks.strict_json import read_json

_BLANK = b" \t\r\n\xef\xbb\xbf"


def read_callback(body: bytes) -> Callback:
    """What a callback is about. Raises UnreadableCallbackError, whose code is the reason to park it for."""
    start = body.lstrip(_BLANK)
    if not start:
        raise UnreadableCallbackError("empty", "there is no body")
    if start[:1] not in b"{[":
        raise UnreadableCallbackError("family", "not JSON; this version reads the KYX family only")
    document = read_json(body)
    if not kyx.recognises(document):
        raise UnreadableCallbackError("family", "JSON of no family that this version knows")
    return kyx.read(document)
