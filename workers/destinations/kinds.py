"""Every destination beside the subscribers. A new one: its file, a line here, its name in the CHECK and the lease."""

from schemas.settings import Settings
from workers.destinations.destination import Destination
from workers.destinations.exchange import Exchange
from workers.destinations.stream import EventStream

KINDS: tuple[type[Destination], ...] = (EventStream, Exchange)


def enabled_kinds(settings: Settings) -> tuple[str, ...]:
    """The names of those that new events go to."""
    return tuple(kind.name for kind in KINDS if kind.enabled(settings))
