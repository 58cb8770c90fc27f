"""Callbacks that are not concluded: bodies of which nobody knows whom they are about, and claims of a reference."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import dict_row

from deploy.erasure.bodies import mentions
from deploy.erasure.subject import SubjectError
from schemas.callbacks.callback import Callback, UnreadableCallbackError
from schemas.callbacks.recognise import read_callback
from schemas.callbacks.reference import references
from schemas.sealing import KeyRing, UnsealError
from schemas.sql.queries import query
from workers import store

# Bodies have up to 1 MB each, 16 where it is set so.
_PAGE = 100


@dataclass(frozen=True)
class Theirs:
    """How a body is known as the person's: by one of Jumio's random ids anywhere in it, or by its reference."""

    ids: Sequence[bytes]
    reference: str | None = None

    def has(self, body: bytes) -> bool:
        return mentions(body, self.ids) or self.names(body)

    def names(self, body: bytes) -> bool:
        """By the member that says it, whole: a reference may be a part of somebody else's, or of anything."""
        return self.reference is not None and self.reference in references(body)


def find_claims(conn: Connection, tenant: str, reference: str, keys: KeyRing) -> tuple[list[Callback], bool]:
    """What callbacks that wait say of a reference, as far as they are believed; and whether any body names it."""
    claims, named = list[Callback](), False
    theirs = Theirs((), reference)
    for row, body in _unsettled(conn, tenant, keys, described=True):
        if not theirs.names(body):
            continue
        named = True
        # A stranger may say of anybody's workflow that it is this person's.
        if row["believed"] and (callback := _read(body)):
            claims.append(callback)
    return claims, named


def delete_unsettled(conn: Connection, tenant: str, theirs: Theirs, keys: KeyRing) -> int:
    """How many were the person's. Raises SubjectError where one is on hold, by a workflow that is not the person's."""
    deleted = 0
    for row, body in _unsettled(conn, tenant, keys, described=theirs.reference is not None):
        if theirs.has(body) if row["unread"] else theirs.names(body):
            _refuse_held(conn, tenant, row)
            deleted += store.change(conn, "erasures", "delete_callback", {"id": row["id"]})
    return deleted


def _refuse_held(conn: Connection, tenant: str, row: store.Row) -> None:
    about = {"workflow_key": row["workflow_key"], "account_id": row["account_id"], "user_reference": None}
    [answer] = store.rows(conn, "erasures", "is_held", {"tenant": tenant, **about})
    if answer["held"]:
        raise SubjectError(
            f"a callback of workflow {row['workflow_key']}, which is on legal hold, names it, so nothing was erased; "
            "see: jumio-pipeline holds list"
        )


def _unsettled(conn: Connection, tenant: str, keys: KeyRing, *, described: bool) -> Iterator[tuple[store.Row, bytes]]:
    # A cursor of the server's: there may be a day's callbacks, while Jumio is away.
    with conn.cursor("unsettled", row_factory=dict_row) as cursor:
        cursor.itersize = _PAGE
        asked = {"tenant": tenant, "described": described}
        for row in cursor.execute(query("erasures", "unsettled_callbacks"), asked):
            try:
                yield row, keys.unseal(row["sealed_body"], place=f"callbacks.body/{row['id']}")
            except UnsealError:  # with no key it is as good as gone
                continue


def _read(body: bytes) -> Callback | None:
    try:
        return read_callback(body)
    except UnreadableCallbackError:
        return None
