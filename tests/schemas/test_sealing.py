"""What is sealed opens for its place and its keys, and for nothing else."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.sealing import KEY_BYTES, NONCE_BYTES, KeyRing, KeyRingError, UnsealError

PLACE = "callbacks.body/1"
RING = KeyRing.parse(KeyRing.generate("k1"))


@given(clear=st.binary(max_size=2000), place=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_what_was_sealed_opens_unchanged(clear: bytes, place: str) -> None:
    assert RING.unseal(RING.seal(clear, place=place), place=place) == clear
    assert RING.unseal_text(RING.seal_text(clear, place=place), place=place) == clear


@pytest.mark.parametrize("place", ["callbacks.body/2", "callbacks.head/1", "", PLACE + " ", PLACE.upper()])
def test_in_another_place_it_does_not_open(place: str) -> None:
    sealed = RING.seal(b"a body", place=PLACE)

    with pytest.raises(UnsealError, match="changed or belong to another row"):
        RING.unseal(sealed, place=place)


@given(data=st.data(), clear=st.binary(max_size=80), change=st.integers(1, 255))
def test_with_any_byte_changed_it_does_not_open(data: st.DataObject, clear: bytes, change: int) -> None:
    ring = KeyRing.parse(f"{KeyRing.generate('k1')},{KeyRing.generate('k')},{KeyRing.generate('j1')}")
    sealed = bytearray(ring.seal(clear, place=PLACE))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= change

    with pytest.raises(UnsealError):
        ring.unseal(bytes(sealed), place=PLACE)


@given(start=st.binary(max_size=60))
def test_what_was_never_sealed_here_does_not_open(start: bytes) -> None:
    if start.startswith(b"\x01"):
        start = b"\x02" + start

    with pytest.raises(UnsealError):
        RING.unseal(start, place=PLACE)


def test_appended_bytes_are_noticed() -> None:
    with pytest.raises(UnsealError):
        RING.unseal(RING.seal(b"a body", place=PLACE) + b"\0", place=PLACE)


def test_a_new_first_key_seals_and_the_old_one_still_opens() -> None:
    old, new = KeyRing.generate("old"), KeyRing.generate("new")
    before = KeyRing.parse(old).seal(b"before", place=PLACE)

    rotated = KeyRing.parse(f"{new},{old}")
    after = rotated.seal(b"after", place=PLACE)

    assert rotated.unseal(before, place=PLACE) == b"before"
    assert KeyRing.parse(new).unseal(after, place=PLACE) == b"after"
    with pytest.raises(UnsealError, match="not on the ring: keep old keys"):
        KeyRing.parse(old).unseal(after, place=PLACE)


def test_another_key_of_the_same_id_does_not_open() -> None:
    sealed = RING.seal(b"a body", place=PLACE)

    with pytest.raises(UnsealError, match="were changed"):
        KeyRing.parse(KeyRing.generate("k1")).unseal(sealed, place=PLACE)


def test_no_nonce_comes_twice() -> None:
    nonces = {RING.seal(b"", place=PLACE)[4 : 4 + NONCE_BYTES] for _ in range(100_000)}

    assert len(nonces) == 100_000


def test_what_is_sealed_shows_nothing_of_it() -> None:
    sealed = RING.seal(b"Elizabeth" * 10, place=PLACE)

    assert b"Elizabeth" not in sealed
    assert PLACE.encode() not in sealed


KEY = base64.b64encode(bytes(range(KEY_BYTES))).decode()
SHORT = base64.b64encode(b"PLANTED-7431").decode()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "there is no key; make one with: jumio-pipeline new-key"),
        (" , ", "there is no key"),
        (KEY, "needs an id of its own"),
        (f":{KEY}", "needs an id of its own"),
        (f"k 1:{KEY}", "needs an id of its own"),
        (f"k1\n:{KEY}", "needs an id of its own"),
        (f"{'k' * 33}:{KEY}", "needs an id of its own"),
        (f"k1:{KEY},k1:{KEY}", "needs an id of its own"),
        (f"k1:{KEY}!", "a key is not base64"),
        (f"k1:{KEY[:-1]}", "a key is not base64"),
        (f"k1:{KEY[:20]} {KEY[20:]}", "a key is not base64"),
        (f"k1:{SHORT}", "a key has 12 bytes, not 32"),
        ("k1:", "a key has 0 bytes, not 32"),
    ],
)
def test_a_ring_that_cannot_be_used_is_explained_and_not_shown(text: str, complaint: str) -> None:
    with pytest.raises(KeyRingError, match=complaint) as caught:
        KeyRing.parse(text)

    assert KEY[:10] not in str(caught.value)
    assert SHORT not in str(caught.value)


def test_a_ring_shows_no_key() -> None:
    text = KeyRing.generate("k1")
    ring = KeyRing.parse(f" {text} , k2:{KEY},")

    assert ring.primary == "k1"
    assert repr(ring) == "KeyRing(primary='k1')"


def test_generated_keys_are_all_different() -> None:
    assert len({KeyRing.generate() for _ in range(100)}) == 100


@pytest.mark.parametrize("length", range(60))
def test_what_was_cut_short_does_not_open(length: int) -> None:
    ring = KeyRing.parse(KeyRing.generate())

    with pytest.raises(UnsealError):
        ring.unseal(ring.seal(b"x" * 30, place="a")[:length], place="a")


def test_a_key_that_is_not_ascii_is_no_key() -> None:
    with pytest.raises(KeyRingError):
        KeyRing.parse("k1:é")
