"""Would callbacks from this address be admitted, by what, and how old is the answer."""

from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address

from psycopg import Connection
from psycopg.rows import class_row

from receiver.addresses import Judgement, Sighting, explain
from schemas.settings import Settings
from schemas.sql.queries import query


def explain_source(conn: Connection, address: IPv4Address | IPv6Address, settings: Settings) -> tuple[bool, str]:
    """Whether it would be admitted, and why in a sentence."""
    with conn.cursor(row_factory=class_row(Sighting)) as cursor:
        stored = cursor.execute(query("sources", "read_addresses")).fetchall()
    judgement = explain(address, stored, settings, datetime.now(UTC))
    return judgement.verdict == "admitted", f"{address} would be {_sentence(judgement, stored=bool(stored))}"


def _sentence(judgement: Judgement, *, stored: bool) -> str:
    evidence = judgement.evidence
    match evidence["rule"]:
        case "dns":
            return f"admitted: DNS gave it for {evidence['name']}, {evidence['age_seconds']} s ago"
        case "extra":
            return f"admitted: it is in {evidence['network']} of SOURCE_EXTRA"
        case "observe":
            return "admitted, because SOURCE_CHECK is observe; under enforce it would be refused"
        case "unverified" if stored:
            return "kept as unverified: DNS answered, but nothing that SOURCE_HOSTS and SOURCE_ALLOW_PRIVATE accept"
        case "unverified":
            return "kept as unverified: DNS has never answered; check DNS_SERVERS and SOURCE_HOSTS"
        case _:
            return (
                "refused (after one more look-up): DNS gives it for no name of SOURCE_HOSTS, nor is it in SOURCE_EXTRA"
            )
