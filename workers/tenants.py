"""Which tenant's part of Jumio a row is for."""

from collections.abc import Mapping
from typing import TypeVar

from workers.errors import TenantGoneError

T = TypeVar("T")


def tenant_of(tenants: Mapping[str, T], name: str) -> T:
    """What there is for the tenant of a row. Raises TenantGoneError where it has been taken out of the file since."""
    found = tenants.get(name)
    if found is None:
        raise TenantGoneError(f"no such tenant in JUMIO_TENANTS_FILE: {name}; add it and requeue")
    return found
