"""The stream keeps the latest events and no more, whatever was on it."""

from redis import Redis

from deploy.simulator.run import Simulator
from tests.line.conftest import Hand
from tests.line.test_steps import callback

BOUND = 100_000
# Valkey trims whole nodes of a hundred entries.
NODE = 100


def test_what_is_too_old_for_the_stream_makes_room(hand: Hand, simulator: Simulator, broker_url: str) -> None:
    [execution] = simulator.create(outcomes=["session_expired.older"])
    hand.receive(callback(execution))
    with Redis.from_url(broker_url, decode_responses=True) as broker:
        pipeline = broker.pipeline(transaction=False)
        for number in range(BOUND + 5 * NODE):
            pipeline.xadd("jumio:events", {"n": number})
        pipeline.execute()

        hand.run_until_idle()

        length = broker.xlen("jumio:events")
        [(_, newest)] = broker.xrevrange("jumio:events", count=1)
        broker.delete("jumio:events")
    assert BOUND <= length <= BOUND + NODE
    assert newest["subject"] == execution.key
