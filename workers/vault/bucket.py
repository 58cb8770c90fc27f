"""A bucket of S3 or of a server that speaks like it, through obstore."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from schemas.settings import Settings
from workers.errors import VaultAwayError
from workers.vault.vault import Blob, NoBlobError, is_key, prefix_of

# Well inside of a task's soft limit of 50 s, with the download before it.
_TIMEOUT = timedelta(seconds=10)
_RETRIES, _RETRY_TIMEOUT = 2, timedelta(seconds=15)
_PAGE = 1000
# What a server says for good; everything else may be better the next time.
_FOR_GOOD = {
    "NoSuchBucket": "its bucket does not exist; make it, or mend IMAGES_URL",
    "SignatureDoesNotMatch": "the server refuses AWS_SECRET_ACCESS_KEY",
    "InvalidAccessKeyId": "the server does not know AWS_ACCESS_KEY_ID",
    "ExpiredToken": "AWS_SESSION_TOKEN has expired",
    "AccessDenied": "the credentials may not list, read, write and delete there",
    "PermanentRedirect": "its bucket is in another region: AWS_REGION",
    "AuthorizationHeaderMalformed": "its bucket is in another region: AWS_REGION",
}
_CODE = re.compile(r"<Code>(\w+)</Code>")


class BucketVault:
    """One object a blob. To be opened after a fork: obstore's threads do not come along."""

    def __init__(self, bucket: str, prefix: str, settings: Settings) -> None:
        # Plain http is allowed: requests are signed, a secret never travels, and what is sent was sealed before.
        self._store = S3Store(
            bucket,
            prefix=prefix or None,
            config=_config(settings),  # type: ignore[arg-type]  # S3Config is not there at run time
            client_options={"allow_http": True, "timeout": _TIMEOUT, "connect_timeout": timedelta(seconds=3)},
            retry_config={"max_retries": _RETRIES, "retry_timeout": _RETRY_TIMEOUT},
        )

    def check(self) -> str | None:
        """What the operator must mend before anything can be kept, or None; a server that is away may come back."""
        try:
            next(iter(obstore.list(self._store, chunk_size=1)), None)
        except (BaseError, OSError) as error:
            return _FOR_GOOD.get(_code(error))
        return None

    def put(self, key: str, sealed: bytes) -> None:
        """In one request, so that there is never a part of it."""
        with _away():
            obstore.put(self._store, key, sealed, use_multipart=False)

    def get(self, key: str) -> bytes:
        """See Vault; that the bucket is gone does not mean that the blob is."""
        try:
            with _away():
                return bytes(obstore.get(self._store, key).bytes())
        except VaultAwayError as error:
            if _code(error.__cause__) == "NoSuchKey":
                raise NoBlobError(key) from error
            raise

    def delete(self, key: str) -> None:
        """See Vault."""
        with _away():
            obstore.delete(self._store, key)

    def blobs(self, image_id: UUID | None = None) -> Iterator[Blob]:
        """See Vault. Prefixes are whole folders to obstore: within one, listing starts at the image."""
        beginning = "" if image_id is None else prefix_of(image_id)
        shard = beginning.partition("/")[0] or None
        with _away():
            for page in obstore.list(self._store, shard, offset=beginning or None, chunk_size=_PAGE):
                for found in page:
                    if not found["path"].startswith(beginning):
                        return
                    if is_key(found["path"]):
                        yield Blob(found["path"], found["last_modified"])


def _config(settings: Settings) -> dict[str, str]:
    """What is not set is left to obstore, which knows the roles of machines, containers and clusters."""
    given = {
        "access_key_id": settings.aws_access_key_id,
        "secret_access_key": settings.aws_secret_access_key.get_secret_value(),
        "session_token": settings.aws_session_token.get_secret_value(),
        "region": settings.aws_region,
        "endpoint": settings.aws_endpoint_url,
    }
    return {name: value for name, value in given.items() if value}


def _code(error: BaseException | None) -> str:
    """The server's own word for what is wrong; obstore has only a text, which quotes the answer."""
    found = _CODE.search(str(error))
    return found[1] if found else ""


@contextmanager
def _away() -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        raise VaultAwayError("bucket", _code(error) or type(error).__name__) from error
