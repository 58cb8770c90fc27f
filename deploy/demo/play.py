"""What the demo sends: every outcome, every fault, a forged source and a malformed body."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from deploy.simulator.caller import Caller, Post, Sent
from deploy.simulator.report import Report
from deploy.simulator.run import Simulator

# The share of workflows that each fault befalls; every one befalls at least one.
FAULTS: Mapping[str, float] = {
    "late": 0.05,
    "duplicate": 0.1,
    "out_of_order": 0.1,
    "wrong_source": 0.02,
    "corrected": 0.04,
    "token_expired_early": 0.02,
    "429": 0.05,
    "5xx": 0.05,
    "slow": 0.05,
    "not_ready": 0.05,
    "malformed": 0.03,
    "truncated_image": 0.05,
    "not_an_image": 0.02,
    "missing_image": 0.02,
}
MALFORMED = (b'{"workflowExecution": {"id": "f41fcb28-e1ec', b"")
_RATE = 6.0


def play(simulator: Simulator, url: str, workflows: int) -> Report:
    """Callbacks of that many workflows, some of them misbehaving."""
    simulator.faults.late_seconds = 1.0
    return simulator.play(url, workflows, rate=_RATE, faults=FAULTS)


def post_malformed(simulator: Simulator, url: str) -> tuple[Sent, ...]:
    """Bodies that nobody can read, from a genuine address."""
    source = simulator.dns.addresses()[0]
    template = Post("malformed", "", b"", "application/json", source, datetime.now(UTC))

    async def post_all() -> tuple[Sent, ...]:
        async with Caller(url) as caller:
            return tuple([await caller.post(replace(template, body=body)) for body in MALFORMED])

    return asyncio.run(post_all())
