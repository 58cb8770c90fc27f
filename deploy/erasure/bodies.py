"""Bodies that nobody could read, searched for ids all the same."""

import re
from collections.abc import Iterable

_HYPHEN = re.compile(rb"%2d|\\u002d", re.IGNORECASE)


def mentions(body: bytes, ids: Iterable[bytes]) -> bool:
    """Whether one of the ids is in it: UTF-16 and UTF-32 put zeros between, forms and JSON may escape the hyphen."""
    plain = _HYPHEN.sub(b"-", body.replace(b"\0", b""))
    return any(each in plain for each in ids)
