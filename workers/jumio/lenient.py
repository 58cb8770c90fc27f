"""The tolerant reading of Jumio's JSON, with the worker's own word for what cannot be read."""

from schemas.callbacks import lenient
from workers.errors import JumioAnswerError

Object = lenient.Object


def read_object(body: bytes, *, asked: str) -> Object:
    """Decode one JSON object. Raises JumioAnswerError, whose text never quotes the document."""
    try:
        return lenient.read_object(body, asked=asked)
    except lenient.UnreadableAnswerError as error:
        raise JumioAnswerError(*error.args) from None


def canonical(document: Object) -> bytes:
    """Equal content, equal bytes. Raises JumioAnswerError where it is nested too deeply."""
    try:
        return lenient.canonical(document)
    except lenient.UnreadableAnswerError as error:
        raise JumioAnswerError(*error.args) from None
