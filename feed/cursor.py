"""Where a consumer is in the feed, as a text that means nothing to it."""

import base64
import binascii
import struct
from dataclasses import dataclass
from typing import Self
from uuid import UUID

# Version, epoch, position (xid8), sequence, id.
_FORM = struct.Struct(">BIQI16s")
_VERSION = 1
_NOBODY = UUID(int=0)
_LENGTH = 4 * _FORM.size // 3


class CursorError(ValueError):
    """The text is no cursor of this feed's."""


@dataclass(frozen=True)
class Cursor:
    """The last event that was looked at, or the place before all of them."""

    epoch: int
    position: int
    sequence: int = 0
    id: UUID = _NOBODY

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises CursorError."""
        try:
            if len(text) != _LENGTH:
                raise CursorError
            version, epoch, position, sequence, id_bytes = _FORM.unpack(
                base64.b64decode(text, altchars=b"-_", validate=True)
            )
        except (binascii.Error, ValueError, struct.error):
            raise CursorError from None
        if version != _VERSION or sequence >= 2**31:
            raise CursorError
        return cls(epoch, position, sequence, UUID(bytes=id_bytes))

    def place(self) -> tuple[int, int, UUID]:
        """In the order of the feed, within one epoch."""
        return self.position, self.sequence, self.id

    def text(self) -> str:
        """As a consumer keeps it."""
        packed = _FORM.pack(_VERSION, self.epoch, self.position, self.sequence, self.id.bytes)
        return base64.urlsafe_b64encode(packed).decode()
