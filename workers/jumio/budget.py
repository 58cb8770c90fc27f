"""One retrieval budget a tenant for the whole fleet: each call to Jumio waits here for its turn."""

import math
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, cast
from urllib.parse import urlsplit

import structlog
from billiard.process import current_process
from redis import Redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.exceptions import RedisError
from redis.retry import Retry

from schemas.settings import Tenant
from workers.destinations.stream import redis_url
from workers.errors import WaitError

log = structlog.get_logger()

Kind = Literal["kyx", "legacy"]
Use = Literal["details", "images"]

# Between the grant and Jumio's door lie a reply, a process that has to wake up and perhaps a TLS handshake. Calls are
# spread as if a second were longer by this, so that two grants a second apart do not arrive within one.
JITTER_SECONDS = 0.15
# However late a call arrives on a host that has no time for it: who was granted one is counted until a second after its
# answer, so no second sees more than the rate. An answer that takes longer than this says nothing of the arrival.
WINDOW_SECONDS = 1.0
FLIGHT_SECONDS = 4.0
# A slot that was taken up late is made good by this much, or every late wake-up would lower the rate; part of JITTER.
SLACK_SECONDS = 0.04
# A worker that sleeps is cheaper than a row that goes round; beyond this the queue is longer than the fleet is wide.
PATIENCE_SECONDS = 2.0
LEAST_WAIT_SECONDS = 5.0
# Newcomers ask this much later than who has waited long, or luck decides and sends one of twenty away. Within SLACK.
SENIORITY_SECONDS = 0.01
# Documents make verdicts, images complete them: while both wait, two of three slots are for documents.
DETAILS_IN_A_ROW = 2
# For a 429 that names no time; and the longest that one key may hold the fleet, whoever wrote it.
PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 3600.0
# Without Redis nobody knows how many hosts there are; with more than this the fleet exceeds its budget by the excess.
ASSUMED_HOSTS = 2
# How often a process looks whether Redis is back: with QUIET it is less than PATIENCE. How long a call to it may take.
LOOK_SECONDS = 0.75
REDIS_SECONDS = 1.0
# Between the last shared slot and the first of one's own, so that no second holds both.
QUIET_SECONDS = 1.0
_REDIS_SCHEMES = frozenset({"redis", "rediss", "unix", "redis+socket"})

# GCRA with a burst of one: `next` is when the next slot opens. Nothing is reserved ahead, so that a FLUSHALL, a restart
# or a worker that dies while it waits leaves no slot behind. Everything is in microseconds of Redis's own clock.
# Answers 0 for a slot, otherwise how long to wait before asking again.
TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local use, spacing, slack, share = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local other = use == 'details' and 'images' or 'details'
local found = redis.call('HMGET', KEYS[1], 'next', 'paused', 'run', other)
local function keep(name, value) redis.call('HSET', KEYS[1], name, string.format('%.0f', value)) end

-- Nothing where it was flushed, when a slot may just have been granted; too far ahead after a clock was set back.
local opens = tonumber(found[1])
if not (opens and opens <= now + spacing) then
    opens = now + spacing
    keep('next', opens)
end
local paused = tonumber(found[2])
if not (paused and paused <= now + tonumber(ARGV[5])) then paused = 0 end
local wait = math.max(opens, paused) - now
local run = tonumber(found[3]) or 0
local until_then = tonumber(found[4]) or 0
local contested = until_then > now and until_then < now + 2100000 -- nobody waits for longer, see PATIENCE_SECONDS
if wait <= 0 and contested and (use == 'images') == (run < share) then
    wait = spacing / 2 -- the other's turn, and it is waiting for it
end
if wait <= 0 then -- the turn is there; but has every one of the last second's calls arrived a second ago?
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
    redis.call('ZREMRANGEBYSCORE', KEYS[2], now + tonumber(ARGV[7]) + 1, '+inf') -- of a clock that was set back
    if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[6]) then
        local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
        wait = math.min(math.max(tonumber(first[2]) - now, 1), spacing)
    end
end
if wait > 0 then
    keep(use, now + wait + 50000) -- until then it counts as waiting; by then it has asked again
    return math.ceil(wait)
end
keep('next', math.max(opens, now - slack) + spacing)
keep('run', use == 'details' and math.min(run + 1, share) or 0)
keep(use, 0)
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[7]), ARGV[8])
redis.call('PEXPIRE', KEYS[2], 60000)
return 0
"""
LAND = """
local time = redis.call('TIME')
redis.call('ZADD', KEYS[2], 'XX', time[1] * 1000000 + time[2] + tonumber(ARGV[1]), ARGV[2])
return 0
"""
PAUSE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local away = tonumber(ARGV[2])
local found = redis.call('HMGET', KEYS[1], 'paused', 'resumed')
if away > 0 then -- back from an outage: only the first one has to hold the fleet for those that come after
    if (tonumber(found[2]) or 0) > now - away then return 0 end
    redis.call('HSET', KEYS[1], 'resumed', string.format('%.0f', now))
end
local paused = now + tonumber(ARGV[1])
if paused > (tonumber(found[1]) or 0) then redis.call('HSET', KEYS[1], 'paused', string.format('%.0f', paused)) end
return 0
"""


class BudgetError(WaitError):
    """The fleet has used up what Jumio allows for the moment, or Jumio said so."""

    code = "budget"


class Budget:
    """What one tenant may ask of one of Jumio's generations, for one process of the fleet."""

    def __init__(self, tenant: Tenant, fleet: "Fleet", kind: Kind = "kyx") -> None:
        rate = tenant.retrieval_rate if kind == "kyx" else tenant.legacy_rate
        self._key = f"jumio:budget:{tenant.name}:{kind}"
        self._spacing = spacing(rate)
        self._at_most = max(math.floor(rate), 1)
        self._seniority = min(SENIORITY_SECONDS, self._spacing / 4)
        self._fleet = fleet
        self._away_since: float | None = None
        self._paused_until = 0.0
        self._slot: float | None = None

    @contextmanager
    def turn(self, use: Use) -> Iterator[None]:
        """Sleep until it is this call's turn, and note when it was answered.

        Raises BudgetError where that takes too long: the row waits instead.
        """
        ticket = secrets.token_hex(8)
        self._take(use, ticket)
        try:
            yield
        finally:
            self._fleet.land(self._key, ticket)

    def _take(self, use: Use, ticket: str) -> None:
        began = time.monotonic()
        while (wait := self._wait(use, ticket)) > 0:
            waited = time.monotonic() - began
            if waited + wait > PATIENCE_SECONDS:
                raise BudgetError("no slot is free in time", max(wait, LEAST_WAIT_SECONDS))
            time.sleep(wait + self._seniority * (1 - waited / PATIENCE_SECONDS))

    def pause(self, wish: float | None) -> BudgetError:
        """Jumio answered 429: leave it in peace with the whole fleet. The error to raise for the row that was told."""
        seconds = min(max(PAUSE_SECONDS if wish is None else wish, QUIET_SECONDS), LONGEST_PAUSE_SECONDS)
        shared = self._fleet.pause(self._key, seconds)
        self._paused_until, self._slot = time.monotonic() + seconds, None
        log.warning("budget.paused", budget=self._key, seconds=seconds, shared=shared)
        return BudgetError("answered 429", seconds)

    def _wait(self, use: Use, ticket: str) -> float:
        if self._away_since is not None:
            away = time.monotonic() - self._away_since
            if away >= QUIET_SECONDS and not self._fleet.pause(self._key, LOOK_SECONDS + QUIET_SECONDS, away=away):
                return self._wait_alone(self._away_since)
        wait = self._fleet.take(self._key, use, ticket, spacing=self._spacing, at_most=self._at_most)
        if wait is not None:
            self._away_since = None
            return wait
        if self._away_since is None:
            self._away_since, self._slot = time.monotonic(), None
        return self._wait_alone(self._away_since)

    def _wait_alone(self, away_since: float) -> float:
        """Each process has its own slots on the host's clock, so that no two of a host meet."""
        now = time.monotonic()
        if self._slot is None or now - self._slot > SLACK_SECONDS:
            self._slot = self._next_slot(max(now, away_since + QUIET_SECONDS, self._paused_until))
        wait = self._slot - now
        if wait <= 0:
            self._slot = self._next_slot(self._slot + self._spacing)
        return max(wait, 0.0)

    def _next_slot(self, earliest: float) -> float:
        apart = self._spacing * ASSUMED_HOSTS
        period, offset = apart * self._fleet.processes, apart * self._fleet.index
        return offset + math.ceil((earliest - offset) / period) * period


class Fleet:
    """Redis as one process sees it, for every budget; made after the fork."""

    def __init__(self, broker_url: str, *, processes: int, index: int | None = None) -> None:
        self.processes = processes
        # Celery numbers the children of a worker, and gives a dead one's number to its successor.
        self.index = (getattr(current_process(), "index", 0) if index is None else index) % processes
        self._redis = _client(broker_url) if urlsplit(broker_url).scheme in _REDIS_SCHEMES else None
        self._take = self._redis.register_script(TAKE) if self._redis else None
        self._land = self._redis.register_script(LAND) if self._redis else None
        self._pause = self._redis.register_script(PAUSE) if self._redis else None
        self._away_since: float | None = None
        self._look_at = 0.0

    def take(self, key: str, use: Use, ticket: str, *, spacing: float, at_most: int) -> float | None:
        """Seconds to wait, 0 for a slot; None while Redis is away."""
        values = (use, _micros(spacing), _micros(SLACK_SECONDS), DETAILS_IN_A_ROW, _micros(LONGEST_PAUSE_SECONDS))
        wait = self._run(self._take, key, *values, at_most, _micros(FLIGHT_SECONDS), ticket)
        return None if wait is None else wait / 1_000_000

    def land(self, key: str, ticket: str) -> None:
        """The call was answered, so it arrived; while Redis is away nobody counts."""
        self._run(self._land, key, _micros(WINDOW_SECONDS), ticket)

    def pause(self, key: str, seconds: float, *, away: float = 0.0) -> bool:
        """Hold a budget; after an outage, by the first that comes back. False while Redis is away."""
        return self._run(self._pause, key, _micros(seconds), _micros(away)) is not None

    def close(self) -> None:
        if self._redis is not None:
            self._redis.close()

    def _run(self, script: Script | None, key: str, *values: int | str) -> int | None:
        if script is None:
            self._lost("BROKER_URL is not Redis")
            return None
        if time.monotonic() < self._look_at:
            return None
        try:
            answer = cast("int", script(keys=[key, f"{key}:flights"], args=values))
        except (RedisError, OSError) as error:
            self._look_at = time.monotonic() + LOOK_SECONDS
            self._lost(type(error).__name__)
            return None
        if self._away_since is not None:
            log.info("budget.shared", seconds=round(time.monotonic() - self._away_since, 1))
            self._away_since = None
        return answer

    def _lost(self, reason: str) -> None:
        if self._away_since is None:
            self._away_since = time.monotonic()
            log.warning("budget.unshared", reason=reason, processes=self.processes, hosts=ASSUMED_HOSTS)


def spacing(rate: float) -> float:
    """Seconds between two slots, so that no second sees more than the rate: 76.7 ms for 15/s.

    A rate is a count within any one second, so what is left of a whole number is left unused; below one it is a pause.
    """
    return (1 + JITTER_SECONDS) / (math.floor(rate) if rate >= 1 else rate)


def _micros(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _client(broker_url: str) -> Redis:
    return Redis.from_url(
        redis_url(broker_url),
        socket_timeout=REDIS_SECONDS,
        socket_connect_timeout=REDIS_SECONDS,
        health_check_interval=20,
        # The share of one's own is the retry.
        retry=Retry(NoBackoff(), 0),
    )
