"""Defects as people really write them, each with the tests that must notice it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    """One text in one file, which must be there exactly once, becomes another."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Defect:
    """What somebody might have written instead, and who says that it is wrong."""

    name: str
    edits: tuple[Edit, ...]
    caught_by: tuple[str, ...]


def defect(name: str, path: str, old: str, new: str, *caught_by: str) -> Defect:
    """The usual one: a single edit."""
    return Defect(name, (Edit(path, old, new),), caught_by)


_STEPS, _DOOR, _INBOX = "tests/line/test_steps.py", "tests/receiver/test_door.py", "tests/receiver/test_inbox.py"
_RELAY, _ALLOWLIST, _TRANSPORT = (
    "tests/workers/test_relay.py", "tests/receiver/test_allowlist.py", "tests/workers/jumio/test_transport.py"
)  # fmt: skip
_EGRESS = "tests/workers/test_egress.py"

DEFECTS = (
    defect(
        "answers before the commit",
        "receiver/inbox.py",
        "kept = await waiting.kept",
        "kept = waiting is not None",
        f"{_INBOX}::test_without_postgres_the_answer_is_not_kept_and_in_time",
    ),
    defect(
        "commits without waiting for the disk",
        "receiver/postgres.py",
        "-c synchronous_commit=on",
        "-c synchronous_commit=off",
        f"{_INBOX}::test_synchronous_commit_is_on_whatever_the_role_says",
    ),
    defect(
        "never sends again what the broker lost",
        "schemas/sql/work.sql",
        "(work.leased_until IS NULL OR work.leased_until < now())",
        "work.leased_until IS NULL",
        f"{_RELAY}::test_a_message_that_the_broker_lost_is_sent_again_after_its_lease",
    ),
    defect(
        "sends again what is still leased",
        "schemas/sql/work.sql",
        "(work.leased_until IS NULL OR work.leased_until < now())",
        "true",
        f"{_RELAY}::test_several_relays_never_send_a_row_twice_within_its_lease",
    ),
    defect(
        "lets Celery acknowledge before the work",
        "workers/broker.py",
        "task_acks_late=True",
        "task_acks_late=False",
        "tests/workers/test_broker.py::test_a_default_is_as_it_was_decided",
    ),
    Defect(
        "writes the event outside of the verdict's transaction",
        (
            Edit(
                "workers/record.py",
                """            emit(conn, event_type, key=key, data=data, outlet=outlet)
        store.rows""",
                "        store.rows",
            ),
            Edit(
                "workers/record.py",
                """    if changed:
        log.info("verdict.recorded\"""",
                """    if changed:
        emit(conn, event_type, key=key, data=data, outlet=outlet)
        log.info("verdict.recorded\"""",
            ),
        ),
        (f"{_STEPS}::test_without_its_event_there_is_no_verdict",),
    ),
    defect(
        "takes every reading for news",
        "workers/record.py",
        'changed = verdict.digest() != workflow["verdict_digest"]',
        "changed = True",
        f"{_STEPS}::test_an_equal_reading_is_no_news",
    ),
    defect(
        "lets who overslept its claim write",
        "schemas/sql/work.sql",
        """SET state = %(state)s, finished_at = now(), leased_until = NULL, claimed_until = NULL, last_error = %(error)s
WHERE id = %(id)s AND state = '{waiting}' AND attempts = %(attempt)s""",
        """SET state = %(state)s, finished_at = now(), leased_until = NULL, claimed_until = NULL, last_error = %(error)s
WHERE id = %(id)s AND state = '{waiting}' AND %(attempt)s > 0""",
        "tests/workers/test_work.py::test_a_row_that_another_attempt_holds_stays_with_it",
    ),
    defect(
        "trusts is_global about subscribers' addresses",
        "workers/destinations/egress.py",
        "if not address.is_global or any(address in network for network in _NEVER):",
        "if address.is_global:\n        return True\n    if not address.is_global:",
        f"{_EGRESS}::test_a_forbidden_address_is_not_connected_to",
    ),
    defect(
        "resolves, judges, and connects by name",
        "workers/destinations/egress.py",
        "self._tcp.connect_tcp(address, port, seconds, local_address, socket_options)",
        "self._tcp.connect_tcp(host, port, seconds, local_address, socket_options)",
        f"{_EGRESS}::test_the_next_address_is_tried_when_one_does_not_answer",
    ),
    defect(
        "lets the server rewrite the peer from a header",
        "receiver/server.py",
        "proxy_headers=False,",
        "proxy_headers=True,",
        f"{_DOOR}::test_no_header_of_a_stranger_makes_it_jumio",
    ),
    defect(
        "believes the left-most forwarded address",
        "receiver/source.py",
        'for entry in reversed(joined.split(","))',
        'for entry in joined.split(",")',
        "tests/receiver/test_spoofing.py::test_nobody_is_taken_for_another_whatever_is_sent_and_set",
    ),
    defect(
        "reads JSON at the door",
        "receiver/intake.py",
        "async def keep(delivery: Delivery, receive: Receive, state: State, body: Body) -> Answer:",
        "async def keep(delivery: Delivery, receive: Receive, state: State, body: Body) -> Answer:\n"
        "    __import__('json').loads(body.data)",
        f"{_DOOR}::test_a_callback_is_kept_exactly_and_answered_with_an_empty_200",
    ),
    defect(
        "expects only JSONDecodeError of a JSON reader",
        "schemas/callbacks/strict_json.py",
        "    except RecursionError:\n",
        "    except ZeroDivisionError:\n",
        "tests/schemas/test_strict_json.py::test_what_is_not_strict_json_is_refused_by_a_code",
    ),
    defect(
        "keeps bodies as text",
        "receiver/intake.py",
        "body=body.data,",
        "body=body.data.decode().encode(),",
        f"{_DOOR}::test_a_callback_is_kept_exactly_and_answered_with_an_empty_200",
    ),
    defect(
        "asks DNS while a callback waits",
        "receiver/allowlist.py",
        "        judgement = self._judge(address)\n        if address is not None and",
        '        await self._ask(self._names[0], "A")\n'
        "        judgement = self._judge(address)\n        if address is not None and",
        f"{_ALLOWLIST}::test_every_name_is_asked_for_both_record_types_and_known_addresses_cost_no_question",
    ),
    defect(
        "empties the allow-list when DNS fails",
        "receiver/allowlist.py",
        "        self._outcomes[name, record_type] = outcome\n",
        "        self._outcomes[name, record_type] = outcome\n"
        "        self.book = AddressBook() if outcome.failure else self.book\n",
        f"{_ALLOWLIST}::test_the_last_good_answer_stands_through_every_failure",
        f"{_ALLOWLIST}::test_aaaa_alone_may_fail",
    ),
    defect(
        "judges a caller once and for all",
        "receiver/callers.py",
        "or now >= self._until or",
        "or",
        "tests/receiver/test_dns_change.py::"
        "test_who_leaves_dns_is_heard_for_the_grace_on_the_same_connection_and_then_no_more",
    ),
    defect(
        "logs what an exception says",
        "schemas/logs.py",
        'event["exception"] = _chain(error)',
        'event["exception"] = str(error)',
        "tests/schemas/test_logs.py::test_an_exception_is_its_classes_and_places",
    ),
    defect(
        "sends more than an id to Celery",
        "workers/relay.py",
        "args=arguments",
        'args=(*arguments, "user-000417")',
        f"{_RELAY}::test_a_message_holds_a_task_and_a_row_id_and_nothing_else",
    ),
    defect(
        "follows Jumio's redirects",
        "workers/jumio/transport.py",
        "follow_redirects=False,",
        "follow_redirects=True,",
        f"{_TRANSPORT}::test_a_redirect_is_not_followed",
    ),
    defect(
        "reads an answer whole before it counts its bytes",
        "workers/jumio/transport.py",
        "return Answer(response.status_code, _read(response, asked=asked, at_most=at_most))",
        "return Answer(response.status_code, response.read())",
        f"{_TRANSPORT}::test_a_bomb_is_left_unread",
        f"{_TRANSPORT}::test_a_body_that_is_not_whole_plain_and_small_is_no_answer",
    ),
    defect(
        "redirects a slash",
        "receiver/app.py",
        "router = Router(routes, redirect_slashes=False, default=NOT_FOUND, lifespan=lifespan)",
        "router = Router(routes, redirect_slashes=True, default=NOT_FOUND, lifespan=lifespan)",
        f"{_DOOR}::test_a_slash_changes_nothing_and_nothing_is_redirected",
    ),
    defect(
        "reads forms at the door",
        "receiver/intake.py",
        "        body = await read_body(\n"
        '            receive, limit=state["settings"].max_body_bytes, seconds=BODY_SECONDS, ticks=state["ticks"]\n'
        "        )",
        "        from urllib.parse import urlencode\n"
        "        from starlette.requests import Request\n"
        "        form = await Request(scope, receive).form()\n"
        "        body = Body(urlencode(form).encode())",
        f"{_DOOR}::test_a_callback_is_kept_exactly_and_answered_with_an_empty_200",
    ),
)
