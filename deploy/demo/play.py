"""What the demo sends: every family and outcome, every fault, a forged source and a malformed body."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from deploy.simulator.caller import Caller, Post, Sent
from deploy.simulator.mix import Family
from deploy.simulator.report import Report
from deploy.simulator.run import Simulator

# The share of transactions that each fault befalls; every one befalls at least one.
FAULTS: Mapping[str, float] = {
    "late": 0.05,
    "duplicate": 0.1,
    "out_of_order": 0.1,
    "wrong_source": 0.02,
    "corrected": 0.04,
    "token_expired_early": 0.02,
    # Each has the whole fleet pause for seconds.
    "429": 0.02,
    "5xx": 0.05,
    "slow": 0.05,
    "not_ready": 0.05,
    "malformed": 0.03,
    "truncated_image": 0.05,
    "not_an_image": 0.02,
    "missing_image": 0.02,
    "old_encoding": 0.05,
}
# What the older generations bring along beside so many KYX workflows: each of their outcomes once.
_BESIDES: Mapping[Family, int] = {"netverify": 15, "authentication": 4, "document": 6}
_OF_SO_MANY = 60
# Two scans whose result can turn round: one is corrected a day later, one contradicted by the retrieval API.
_TURNED = ("corrected", "contradiction")
MALFORMED = (b'{"workflowExecution": {"id": "f41fcb28-e1ec', b"")
_RATE = 6.0


def families(workflows: int) -> dict[Family, int]:
    """How many transactions of each family are sent beside so many KYX workflows."""
    return {"kyx": workflows, **{family: count * workflows // _OF_SO_MANY for family, count in _BESIDES.items()}}


def play(simulator: Simulator, url: str, workflows: int) -> Report:
    """Callbacks of that many workflows and of what is sent besides, some of them misbehaving."""
    simulator.faults.late_seconds = 1.0
    shares = families(workflows)
    transactions = simulator.create_mix(sum(shares.values()), families=shares)
    scans = [each for each in transactions if each.family == "netverify" and each.suffers("contradiction")]
    for fault, scan in zip(_TURNED, scans, strict=False):
        simulator.faults.give(scan.key, fault)
    return simulator.play(url, transactions, rate=_RATE, faults=FAULTS)


def post_malformed(simulator: Simulator, url: str) -> tuple[Sent, ...]:
    """Bodies that nobody can read, from a genuine address."""
    source = simulator.dns.addresses()[0]
    template = Post("malformed", "", b"", "application/json", source, datetime.now(UTC))

    async def post_all() -> tuple[Sent, ...]:
        async with Caller(url) as caller:
            return tuple([await caller.post(replace(template, body=body)) for body in MALFORMED])

    return asyncio.run(post_all())
