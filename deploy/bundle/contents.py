"""The evidence of one workflow, file by file: what came, what was found, what was concluded, what was told to whom."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import Connection

from schemas.sealing import KeyRing, UnsealError
from workers import store
from workers.errors import VaultAwayError
from workers.vault.blob import read_image
from workers.vault.vault import NoBlobError
from workers.vault.vaults import Vaults

# What a media type is called as a file; what else may come is kept as it is.
_ENDINGS = {"image/jpeg": "jpg", "image/png": "png", "application/pdf": "pdf", "application/json": "json"}
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]", re.ASCII)
_GONE = "deleted: kept as long as the retention policy says"


@dataclass(frozen=True)
class File:
    """One file of the bundle."""

    name: str
    data: bytes


@dataclass
class Evidence:
    """What was read at one moment. `absent` says what is not in the bundle, and why."""

    key: dict[str, str]
    workflow: store.Row
    callbacks: list[store.Row]
    reports: list[store.Row]
    verdicts: list[store.Row]
    images: list[store.Row]
    events: list[store.Row]
    audit: list[store.Row]
    identities: list[store.Row]
    timeline: list[store.Row]
    absent: list[str] = field(default_factory=list, init=False)


def read_evidence(conn: Connection, key: dict[str, str]) -> Evidence:
    """Everything but the images, which are read one at a time. The caller holds one snapshot."""
    workflow = (store.rows(conn, "bundle", "workflow", key) or [{}])[0]
    return Evidence(key, workflow, **{name: store.rows(conn, "bundle", name, key) for name in _READ})


# Each is a query of bundle.sql and a field of Evidence.
_READ = ("callbacks", "reports", "verdicts", "images", "events", "audit", "identities", "timeline")


def write_evidence(conn: Connection, evidence: Evidence, keys: KeyRing, vaults: Vaults) -> Iterator[File]:
    """Each file once; what cannot be opened is noted, and the rest is still evidence."""
    yield _json("workflow.json", evidence.workflow)
    yield from _callbacks(evidence, keys)
    for number, row in enumerate(evidence.reports, 1):
        sealed, place = row.pop("sealed"), f"reports.sealed/{row['id']}"
        yield from _opened(f"reports/{number:03}.json", sealed, place, keys, evidence, packed=True)
    yield _json("reports/index.json", evidence.reports)
    for row in evidence.verdicts:
        yield _json(f"verdicts/version-{row['version']:03}.json", row)
    yield _json("identities.json", evidence.identities)
    yield from _images(conn, evidence, keys, vaults)
    for row in evidence.events:
        yield File(f"events/{row['sequence']:03}-{row['type']}.json", row.pop("body").encode())
    yield _json("events/deliveries.json", evidence.events)
    yield _json("audit.json", evidence.audit)


def _callbacks(evidence: Evidence, keys: KeyRing) -> Iterator[File]:
    for number, row in enumerate(evidence.callbacks, 1):
        folder, body, head = f"callbacks/{number:03}", row.pop("sealed_body"), row.pop("sealed_head")
        yield from _opened(f"{folder}/body", body, f"callbacks.body/{row['id']}", keys, evidence)
        yield from _opened(f"{folder}/head.json", head, f"callbacks.head/{row['id']}", keys, evidence)
        # Among it the evidence for the source: which rule admitted the address, and by which answer of DNS.
        yield _json(f"{folder}/facts.json", row)


def _images(conn: Connection, evidence: Evidence, keys: KeyRing, vaults: Vaults) -> Iterator[File]:
    for number, row in enumerate(evidence.images, 1):
        row["file"] = None
        if row["state"] != "stored":
            evidence.absent.append(f"image {row['classifier']}: {row['state']}; {row['reason'] or 'not stored'}")
            continue
        name = f"images/{number:03}-{_safe(row['classifier'])}.{_ENDINGS.get(row['media_type'], 'bin')}"
        try:
            clear = read_image(conn, row["id"], vaults=vaults, keys=keys)
        except NoBlobError:
            evidence.absent.append(f"{name}: its store has no blob of it; if images are being moved, export again")
        except (UnsealError, VaultAwayError) as error:
            evidence.absent.append(f"{name}: {error}")
        else:
            row["file"] = name
            yield File(name, clear)
    yield _json("images/index.json", evidence.images)


def _opened(
    name: str, sealed: bytes, place: str, keys: KeyRing, evidence: Evidence, *, packed: bool = False
) -> Iterator[File]:
    if not sealed:
        evidence.absent.append(f"{name}: {_GONE}")
        return
    try:
        yield File(name, keys.unseal_text(sealed, place=place) if packed else keys.unseal(sealed, place=place))
    except UnsealError as error:
        evidence.absent.append(f"{name}: {error}")


def _json(name: str, value: store.Row | Sequence[store.Row]) -> File:
    return File(name, (json.dumps(value, default=_plain, ensure_ascii=False, indent=2) + "\n").encode())


def _plain(value: Any) -> str:  # noqa: ANN401 - whatever Postgres has
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _safe(text: str) -> str:
    return _UNSAFE.sub("_", text)[:64]
