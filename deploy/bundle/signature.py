"""The installation's signing key: an Ed25519 key in PEM, as `openssl genpkey -algorithm ed25519` makes it."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from schemas.settings import Settings, SettingsError

_HOW = "make one with: openssl genpkey -algorithm ed25519 -out export.key; then set EXPORT_SIGNING_KEY_FILE=export.key"


def signing_key(settings: Settings) -> Ed25519PrivateKey:
    """Raises SettingsError."""
    text = settings.export_signing_key.get_secret_value()
    if not text:
        raise SettingsError(f"EXPORT_SIGNING_KEY is not set; {_HOW}")
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError):
        raise SettingsError(f"EXPORT_SIGNING_KEY is no private key in PEM without a password; {_HOW}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(f"EXPORT_SIGNING_KEY is a key of another kind; {_HOW}")
    return key


def public_pem(key: Ed25519PrivateKey) -> str:
    """What whoever verifies needs, and must have from here and not from the bundle."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def new_signing_key() -> str:
    """For development; production makes its own."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
