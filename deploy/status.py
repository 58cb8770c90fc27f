"""What waits, what is parked, how old, and what to do about it."""

from collections.abc import Iterator, Sequence
from typing import Any

from psycopg import Connection
from rich.console import Group
from rich.table import Table
from rich.text import Text

from deploy.json_types import as_json
from workers import store
from workers.destinations.breaker import STORM

# Judgements of when to wake someone; each line of trouble names a command, or a heading of the runbook.
OVERDUE_SECONDS = 300.0
SILENT_SECONDS = 120.0
STALE_SECONDS = 3600.0
SPOOLED_SECONDS = 60.0
HELD_BACK_SECONDS = 60.0
# A relay that is away is noticed by its pulses; these roles are needed for the line to move.
_ROLES = ("receiver", "relay", "worker")
_CHECK_DNS = "check DNS_SERVERS and SOURCE_HOSTS, then try: jumio-pipeline explain-source IP"

Status = dict[str, Any]


def read_status(conn: Connection) -> Status:
    """Everything that `status` shows, as JSON types."""
    work = {row.pop("work"): row for row in _rows(conn, "backlog")}
    processes = {row.pop("role"): row for row in _rows(conn, "signs_of_life")}
    status: Status = {
        "work": work,
        "parked": _rows(conn, "parked_reasons"),
        "aside": {row.pop("state"): row for row in _rows(conn, "aside")},
        "refused_too_early": _rows(conn, "refused_too_early"),
        "processes": processes,
        "spools": _rows(conn, "spools"),
        "allowlist": _rows(conn, "allowlist_age"),
        "breakers": _rows(conn, "open_breakers", table="breakers"),
        "feed": {
            **_rows(conn, "held_back", table="feed")[0],
            **_rows(conn, "count_standing", table="consumers")[0],
        },
        "held": _rows(conn, "held_subscriptions", table="subscriptions", storm=STORM),
    }
    return {**status, "trouble": find_trouble(status)}


def find_trouble(status: Status) -> list[str]:
    """What is not well, each with the command that shows or mends it."""
    return [
        *_work_trouble(status["work"]),
        *_silence(status),
        *_feed_trouble(status["feed"]),
        *_spool_trouble(status["spools"]),
        *_dns_trouble(status["allowlist"]),
        *_breaker_trouble(status["breakers"]),
        *_subscription_trouble(status["held"]),
        *_source_trouble(status),
    ]


def _work_trouble(work: Status) -> Iterator[str]:
    for name, backlog in work.items():
        if backlog["overdue_seconds"] > OVERDUE_SECONDS:
            yield (
                f"{name} are due for {backlog['overdue_seconds']:.0f} s; are relay and worker running? "
                "Start: jumio-pipeline relay; jumio-pipeline worker"
            )
        if backlog["parked"]:
            yield f"{backlog['parked']} {name} parked; mend the cause below, then: jumio-pipeline requeue --parked"


def _silence(status: Status) -> Iterator[str]:
    # Without a consumer nobody misses the feed.
    for role in (*_ROLES, *(("feed",) if status["feed"]["consumers"] else ())):
        life = status["processes"].get(role)
        if life is None or life["silent_seconds"] > SILENT_SECONDS:
            yield f"no {role} has been heard of for {SILENT_SECONDS:.0f} s; start: jumio-pipeline {role}"


def _feed_trouble(feed: Status) -> Iterator[str]:
    if feed["seconds"] > HELD_BACK_SECONDS:
        yield (
            f"the feed holds back {feed['events']} events for {feed['seconds']:.0f} s, until a "
            "transaction ends that is open; how to find it: see the runbook (Feed)"
        )


def _spool_trouble(spools: Sequence[Status]) -> Iterator[str]:
    for spool in spools:
        if spool["damaged_files"]:
            yield (
                f"{spool['damaged_files']} files in the spool of {spool['process']} hold what cannot be drained; "
                "what to do: see the runbook (Spool)"
            )
        if spool["age_seconds"] > SPOOLED_SECONDS:
            yield (
                f"{spool['rows']} callbacks wait in the spool of {spool['process']} for {spool['age_seconds']:.0f} s; "
                "its log says why they are not drained: see the runbook (Spool)"
            )


def _dns_trouble(names: Sequence[Status]) -> Iterator[str]:
    freshest = min((row["age_seconds"] for row in names if row["age_seconds"] is not None), default=None)
    if freshest is None:
        yield f"DNS has never answered for any name; {_CHECK_DNS}"
    elif freshest > STALE_SECONDS:
        yield f"the last DNS answer is {freshest / 3600:.1f} h old; {_CHECK_DNS}"


def _breaker_trouble(breakers: Sequence[Status]) -> Iterator[str]:
    for breaker in breakers:
        yield (
            f"nothing is asked of Jumio for {breaker['tenant']} ({breaker['part']}): {breaker['reason']}; rows wait, "
            f"the next try is in {breaker['probe_seconds']:.0f} s; what to check: see the runbook (breaker.opened)"
        )


def _source_trouble(status: Status) -> Iterator[str]:
    if "unverified" in status["aside"]:
        yield f"callbacks wait for DNS answers, strangers for those of every name; {_CHECK_DNS}"
    for row in status["refused_too_early"]:
        yield (
            f"{row['rows']} callbacks from {row['address']} were refused, which DNS gives for {row['name']}; "
            f"run: jumio-pipeline requeue --refused --from {row['address']}"
        )


def _subscription_trouble(held: Sequence[Status]) -> Iterator[str]:
    for each in held:
        if each["paused_at"] is not None:
            yield (
                f"{each['waiting']} deliveries wait for {each['url']}, paused by an operator since "
                f"{each['paused_at'][:19]}; when it may have them: jumio-pipeline subscriptions resume {each['id']}"
            )
        else:
            yield (
                f"{each['waiting']} deliveries wait for {each['url']}, which failed {each['failures']} times in a row "
                f"since {each['failing_since'][:19]} ({each['last_failure']}); tried again in "
                f"{each['probe_seconds']:.0f} s, or at once: jumio-pipeline subscriptions resume {each['id']}"
            )


def render_status(status: Status) -> Group:
    """The same for people."""
    work = _table("work", "waiting", "overdue s", "parked")
    for name, backlog in status["work"].items():
        work.add_row(name, str(backlog["waiting"]), f"{backlog['overdue_seconds']:.0f}", str(backlog["parked"]))
    parked = _table("parked", "reason", "rows", "since", "example")
    for row in status["parked"]:
        parked.add_row(row["work"], row["reason"], str(row["rows"]), row["oldest"][:19], row["example"])
    processes = _table("process", "heard of", "last sign")
    for role, life in status["processes"].items():
        processes.add_row(role, str(life["processes"]), f"{life['silent_seconds']:.0f} s ago")
    spools = _table("spool of", "rows", "oldest", "damaged files")
    for row in status["spools"]:
        spools.add_row(row["process"], str(row["rows"]), f"{row['age_seconds']:.0f} s", str(row["damaged_files"]))
    names = _table("source name", "type", "answer", "failing with")
    for row in status["allowlist"]:
        age = "never" if row["age_seconds"] is None else f"{row['age_seconds']:.0f} s ago"
        names.add_row(row["name"], row["record_type"], age, row["failure"] or "")
    aside = Text(", ".join(f"{row['rows']} {state}" for state, row in status["aside"].items()) or "nothing set aside")
    trouble = Text("\n".join(status["trouble"]) or "all well", style="red" if status["trouble"] else "green")
    return Group(work, parked, processes, spools, names, aside, trouble)


def _rows(conn: Connection, name: str, *, table: str = "status", **values: object) -> list[Status]:
    return [as_json(row) for row in store.rows(conn, table, name, values or None)]


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading)
    return table
