"""IMAGES_URL, in one spelling: it is also how a row says where its image is."""

import re
from urllib.parse import urlsplit

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PATH = re.compile(r"(/[A-Za-z0-9._@+ -]+)*")


def read_images_url(value: object) -> object:
    """The same store in the same words. Raises ValueError, never with the value."""
    if not isinstance(value, str):
        return value
    if value == "postgres:":
        return value
    parts = urlsplit(value)
    if parts.scheme not in {"file", "s3"}:
        raise ValueError("is postgres:, file:///FOLDER or s3://BUCKET[/PREFIX]")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("holds a place and nothing more; credentials, region and endpoint are AWS_ settings")
    path = parts.path.rstrip("/")
    if not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise ValueError("has a path of letters, digits, blanks and . _ - + @ only, without . or .. between slashes")
    if parts.scheme == "file":
        if parts.netloc or not path:
            raise ValueError("with file: names a folder by its whole path, after three slashes: file:///srv/images")
        return f"file://{path}"
    if not _BUCKET.fullmatch(parts.netloc):
        raise ValueError("with s3: names a bucket: s3://BUCKET[/PREFIX]; 3 to 63 of a-z, 0-9, dot and dash")
    return f"s3://{parts.netloc}{path}"
