"""Chance that repeats: everything invented is drawn from the seed and from what it is for."""

import uuid
from random import Random


def dice(*parts: object) -> Random:
    """Equal parts give equal draws, whatever else was drawn before."""
    return Random(":".join(str(part) for part in parts))  # noqa: S311 -- invented data, and it must repeat


def identifier(*parts: object) -> str:
    """A valid version 4 UUID, as Jumio's are."""
    return str(uuid.UUID(int=dice("id", *parts).getrandbits(128), version=4))
