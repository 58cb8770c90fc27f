"""The whole catalogue, each case once from Jumio and, where its sender is not the point, once from a stranger."""

from tests.receiver.catalogue import bodies, framing, heads, sources
from tests.receiver.catalogue.case import Case

FROM_JUMIO = (*framing.CASES, *heads.CASES, *bodies.CASES)
CASES: dict[str, Case] = {
    **{f"{case.id}-jumio": case for case in FROM_JUMIO},
    **{f"{case.id}-stranger": case.from_a_stranger() for case in FROM_JUMIO},
    **{case.id: case for case in sources.CASES},
}
