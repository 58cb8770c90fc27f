"""Everything that the line seals: bound to its row, every changed byte noticed, and sealed anew while the line runs."""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from psycopg import Connection

from deploy.keys.rotate import rotate
from deploy.keys.status import read_keys_status
from deploy.signing_secrets import rotate_secret
from deploy.simulator.run import Simulator
from deploy.subscriptions import Wishes, add
from schemas.sealing import KeyRing, UnsealError
from schemas.settings import Settings, inherited_environment
from schemas.sql.queries import SEALED
from tests.line.conftest import Hand
from tests.line.test_steps import callback
from tests.s3_server import S3Server
from workers.vault.blob import open_image, read_image, rehouse
from workers.vault.vaults import Vaults

OLD, NEW = KeyRing.generate("old"), KeyRing.generate("new")
BEFORE, BOTH, AFTER = (KeyRing.parse(text) for text in (OLD, f"{NEW},{OLD}", NEW))
IMAGES_IN = ("postgres:", "file:", "s3:")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"encryption_keys": BEFORE})


@dataclass(frozen=True)
class Sealed:
    """One ciphertext, and the place that it is sealed for."""

    kind: str
    place: str
    sealed: bytes
    sha256: bytes = b""
    image_id: UUID | None = None

    def opened(self, keys: KeyRing, sealed: bytes | None = None) -> bytes:
        sealed = self.sealed if sealed is None else sealed
        if self.image_id is not None:
            return open_image(sealed, self.image_id, sha256=self.sha256, keys=keys)
        return keys.unseal(sealed, place=self.place)


@dataclass
class Line:
    """Rows of every kind, as the line itself wrote them, with images in every store."""

    hand: Hand
    vaults: Vaults
    environment: dict[str, str]

    @property
    def conn(self) -> Connection:
        return self.hand.conn

    def ciphertexts(self) -> list[Sealed]:
        found = []
        for place, column in SEALED.items():
            statement = (
                f"SELECT {column.own}, {column.column} FROM pipeline.{column.table} WHERE {column.column} IS NOT NULL"
            )
            found += [
                Sealed(place, f"{place}/{own}", bytes(data)) for own, data in self.conn.execute(statement.encode())
            ]
        for image_id, url, key, sha256 in self.images():
            sealed = self.vaults.at(url, self.conn).get(key)
            found.append(Sealed(f"images {url.partition('/')[0]}", "", sealed, sha256, image_id))
        return found

    def images(self) -> list[tuple[UUID, str, str, bytes]]:
        statement = b"SELECT id, store, blob_key, sha256 FROM pipeline.images WHERE state = 'stored' ORDER BY id"
        return self.conn.execute(statement).fetchall()

    def clear(self, keys: KeyRing) -> dict[str, bytes]:
        """All of it, by its place."""
        return {each.place or str(each.image_id): each.opened(keys) for each in self.ciphertexts()}


@pytest.fixture
def line(hand: Hand, simulator: Simulator, s3: S3Server, database_url: str, tmp_path: Path) -> Line:
    conn, folder = hand.conn, tmp_path / "store"
    folder.mkdir()
    for path in ("a", "b"):
        # Nobody is there: what they would get, enriched, stays.
        private = [ip_network("127.0.0.0/8")]
        add(conn, f"http://127.0.0.1:1/{path}", Wishes(enrich=["identity"]), keys=BEFORE, private=private)
        rotate_secret(conn, f"http://127.0.0.1:1/{path}", keys=BEFORE, path=None, ed25519=False, seconds=3600)
    for execution in simulator.create(2, outcomes=["passed", "rejected.digital_copy"]):
        hand.receive(callback(execution))
    hand.run_until_idle()
    token_id = uuid4()
    conn.execute(
        "INSERT INTO pipeline.tokens (tenant, token_id, sealed_token, expires_at) VALUES ('other', %s, %s, now())",
        [token_id, BEFORE.seal(b"a token", place=f"tokens.sealed_token/other/{token_id}")],
    )
    vaults = Vaults(Settings.load("", s3.environment))
    urls = ("postgres:", f"file://{folder}", vaults.home)
    ids = [row[0] for row in conn.execute("SELECT id FROM pipeline.images WHERE state = 'stored' ORDER BY id")]
    for number, image_id in enumerate(ids):
        rehouse(conn, image_id, url=urls[number % 3], vaults=vaults, keys=BEFORE)
    return Line(hand, vaults, {**s3.environment, "DATABASE_URL": database_url, "ENCRYPTION_KEYS": f"{NEW},{OLD}"})


def test_every_ciphertext_opens_in_its_own_row_and_in_no_other(line: Line) -> None:
    everything = line.ciphertexts()
    by_kind = Counter(each.kind for each in everything)

    assert set(by_kind) == set(SEALED) | {f"images {url}" for url in IMAGES_IN}
    assert min(by_kind.values()) >= 2
    for each in everything:
        each.opened(BEFORE)
        for other in everything:
            if other is not each:
                with pytest.raises(UnsealError):
                    each.opened(BEFORE, other.sealed)


def test_a_thousand_changed_bytes_are_all_noticed(line: Line) -> None:
    chance, everything = random.Random(7431), line.ciphertexts()
    kinds = sorted({each.kind for each in everything})

    for number in range(1000):
        each = chance.choice([one for one in everything if one.kind == kinds[number % len(kinds)]])
        changed = bytearray(each.sealed)
        changed[chance.randrange(len(changed))] ^= chance.randrange(1, 256)
        with pytest.raises(UnsealError):
            each.opened(BOTH, bytes(changed))


def test_a_new_first_key_seals_everything_anew_and_the_old_one_can_go(line: Line) -> None:
    before, ciphertexts = line.clear(BEFORE), {each.sealed for each in line.ciphertexts()}
    line.conn.execute("SET ROLE jumio_admin")
    needed = read_keys_status(line.conn, BOTH)

    done = rotate(line.conn, keys=BOTH, vaults=line.vaults)

    after = read_keys_status(line.conn, BOTH)
    assert done.unopened == {}
    assert needed.sealed.keys() == {"old"}
    assert after.sealed == {"new": needed.sealed["old"]} == {"new": done.resealed}
    assert any(advice.startswith("old: keep;") for advice in needed.advice())
    assert any(advice.startswith("old: can be taken out") for advice in after.advice())
    assert line.clear(AFTER) == before
    assert ciphertexts.isdisjoint(each.sealed for each in line.ciphertexts())
    assert sum(rotate(line.conn, keys=BOTH, vaults=line.vaults).resealed.values()) == 0
    trail = line.conn.execute(
        "SELECT details FROM pipeline.audit WHERE action = 'key.rotated' ORDER BY number"
    ).fetchall()
    assert [row[0]["phase"] for row in trail] == ["begun", "finished"] * 2
    assert trail[1][0]["resealed"] == dict(done.resealed)


def test_what_cannot_be_opened_stays_as_it_is_and_is_told(line: Line) -> None:
    [[callback_id, sealed]] = line.conn.execute("SELECT id, sealed_body FROM pipeline.callbacks LIMIT 1").fetchall()
    damaged = sealed[:-1] + bytes([sealed[-1] ^ 1])
    line.conn.execute("UPDATE pipeline.callbacks SET sealed_body = %s WHERE id = %s", [damaged, callback_id])
    image_id, url, key, _ = line.images()[0]
    line.vaults.at(url, line.conn).delete(key)

    done = rotate(line.conn, keys=BOTH, vaults=line.vaults)

    assert done.unopened.keys() == {("callbacks.body", str(callback_id)), ("images", str(image_id))}
    kept = line.conn.execute("SELECT sealed_body FROM pipeline.callbacks WHERE id = %s", [callback_id]).fetchone()
    assert kept == (damaged,)
    [old] = [advice for advice in read_keys_status(line.conn, BOTH).advice() if advice.startswith("old")]
    assert old.startswith("old: keep; 2 values need it")


def test_what_retention_has_emptied_needs_no_key_and_is_left_alone(line: Line) -> None:
    line.conn.execute("UPDATE pipeline.reports SET sealed = ''")
    line.conn.execute("UPDATE pipeline.callbacks SET sealed_body = '', sealed_head = ''")
    needed = read_keys_status(line.conn, BOTH)

    done = rotate(line.conn, keys=BOTH, vaults=line.vaults)

    assert needed.sealed.keys() == {"old"}
    assert {"reports.sealed", "callbacks.body"}.isdisjoint(needed.sealed["old"])
    assert done.unopened == {}
    assert line.conn.execute("SELECT DISTINCT sealed FROM pipeline.reports").fetchall() == [(b"",)]


def test_a_value_that_changed_meanwhile_is_never_written_over(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody seals a new token after the old one was read, and before its new ciphertext is written."""
    newer = BEFORE.seal(b"a newer token", place="elsewhere")
    reseal = KeyRing.seal

    def slow(keys: KeyRing, clear: bytes, *, place: str) -> bytes:
        if place.startswith("tokens.sealed_token/other"):
            line.conn.execute("UPDATE pipeline.tokens SET sealed_token = %s WHERE tenant = 'other'", [newer])
        return reseal(keys, clear, place=place)

    monkeypatch.setattr(KeyRing, "seal", slow)
    done = rotate(line.conn, keys=BOTH, vaults=line.vaults)

    assert line.conn.execute("SELECT sealed_token FROM pipeline.tokens WHERE tenant = 'other'").fetchone() == (newer,)
    assert done.unopened.keys() == {("tokens.sealed_token", "other")}


@pytest.mark.parametrize(
    "reached",
    [
        "SELECT EXISTS (SELECT FROM pipeline.callbacks WHERE pipeline.key_id(sealed_body) = 'new')",
        "SELECT EXISTS (SELECT FROM pipeline.images WHERE key_id = 'new')",
    ],
    ids=["callbacks", "images"],
)
def test_killed_in_the_middle_and_run_again_it_ends_right(line: Line, reached: str) -> None:
    """While callbacks arrive, of receivers that have the new key first and of some that are yet to be restarted."""
    before = line.clear(BEFORE)
    multiply(line, 200)
    chance, bodies = random.Random(7432), dict[str, bytes]()

    def arrive(*rings: KeyRing) -> None:
        body = b'{"arrived": %d}' % len(bodies)
        bodies[f"callbacks.body/{line.hand.receive(body, keys=chance.choice(rings))}"] = body

    killed = start(line, "rotate")
    while line.conn.execute(reached.encode()).fetchone() != (True,):
        arrive(BEFORE, BOTH)
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    halfway = read_keys_status(line.conn, BOTH).sealed.keys()
    arrive(BEFORE)
    rotated = start(line, "rotate")
    while rotated.poll() is None:
        arrive(BOTH)
        time.sleep(0.02)
    out, err = rotated.communicate(timeout=60)

    assert killed.returncode == -signal.SIGKILL
    assert halfway == {"old", "new"}
    assert (rotated.returncode, err) == (0, "")
    assert out.endswith("sealed anew under new\n")
    assert read_keys_status(line.conn, BOTH).sealed.keys() == {"new"}
    after = line.clear(AFTER)
    assert {place: after[place] for place in (*before, *bodies)} == before | bodies
    for image_id, *_ in line.images():
        read_image(line.conn, image_id, vaults=line.vaults, keys=AFTER)


def test_the_line_goes_on_while_everything_is_sealed_anew(line: Line, simulator: Simulator) -> None:
    """Callbacks arrive, are read and decided under the old first key all the while: none is parked."""
    multiply(line, 60)

    rotating = start(line, "rotate")
    for _ in range(4):
        line.hand.receive(callback(simulator.create(outcomes=["passed"])[0]))
        line.hand.run_until_idle()
    rotating.communicate()
    rotate(line.conn, keys=BOTH, vaults=line.vaults)

    states = line.conn.execute("SELECT DISTINCT state FROM pipeline.callbacks WHERE status IS NOT NULL").fetchall()
    assert states == [("done",)]
    assert line.clear(AFTER)


def test_the_old_key_stays_while_a_spool_may_hold_it(line: Line) -> None:
    rotate(line.conn, keys=BOTH, vaults=line.vaults)
    line.conn.execute(
        "INSERT INTO pipeline.pulses (process, role, spooled_rows, damaged_files) VALUES ('r', 'receiver', 3, 0)"
    )

    status = json.loads(start(line, "status", "--json").communicate(timeout=60)[0])
    missing = list(read_keys_status(line.conn, BEFORE).advice())

    assert "old: keep until spools are empty; 3 callbacks wait in them, 0 files are set aside" in status["advice"]
    assert (status["first"], status["sealed"].keys()) == ("new", {"new"})
    assert any(line.startswith("new: NOT in ENCRYPTION_KEYS, and ") for line in missing)


def multiply(line: Line, rows: int) -> None:
    """More callbacks, so that there is a middle."""
    for _ in range(rows):
        line.hand.receive(b"{}" * 2000)


def start(line: Line, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "deploy", "keys", *arguments],
        env={**inherited_environment(), **line.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
