"""Defects as people really write them, each with the tests, or the run of the crash proof, that must notice it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    """One text in one file, which must be there exactly once, becomes another."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Proof:
    """Faults of the crash proof, in this order, and the promise that it must then call broken."""

    faults: tuple[str, ...]
    broken: str


@dataclass(frozen=True)
class Defect:
    """What somebody might have written instead, and who says that it is wrong."""

    name: str
    edits: tuple[Edit, ...]
    caught_by: tuple[str, ...] = ()
    proof: Proof | None = None


def defect(name: str, path: str, old: str, new: str, *caught_by: str, proof: Proof | None = None) -> Defect:
    """The usual one: a single edit."""
    return Defect(name, (Edit(path, old, new),), caught_by, proof)


_STEPS, _DOOR, _INBOX = "tests/line/test_steps.py", "tests/receiver/test_door.py", "tests/receiver/test_inbox.py"
_RELAY, _ALLOWLIST, _TRANSPORT = (
    "tests/workers/test_relay.py", "tests/receiver/test_allowlist.py", "tests/workers/jumio/test_transport.py"
)  # fmt: skip
_DRAIN = "tests/receiver/test_drain.py"
_CATALOGUE = "tests/receiver/catalogue/test_catalogue.py::test_it_is_answered_and_kept_as_the_catalogue_says"
_EGRESS = "tests/workers/test_egress.py"
_BREAKER = "tests/workers/test_subscriber_breaker.py"
_ERASE, _SEALED = "tests/line/test_erase.py", "tests/line/test_sealed.py"
_REFERENCE = "tests/line/test_erase_reference.py"
_RETENTION, _FEED = "tests/deploy/test_retention.py", "tests/feed/test_feed_cursor.py"

DEFECTS = (
    defect(
        "answers before the commit",
        "receiver/inbox.py",
        "kept = await waiting.kept",
        "kept = waiting is not None",
        f"{_INBOX}::test_without_postgres_the_answer_is_not_kept_and_in_time",
        proof=Proof(("kill before INSERT", "cut before INSERT", "stop postgres"), "acknowledged is kept"),
    ),
    defect(
        "tells callers whom a broken connection left that they are kept",
        "receiver/waiting.py",
        """        for waiting in self._rows:
            waiting.settle(kept=False)""",
        """        for waiting in self._rows:
            waiting.settle(kept=True)""",
        proof=Proof(("cut before INSERT", "stop postgres"), "acknowledged is kept"),
    ),
    defect(
        "forgets the spool when Postgres is away",
        "receiver/inbox.py",
        "if self._spool is None or arrival.state ==",
        "if self._spool or arrival.state ==",
        proof=Proof(("postgres away",), "faults behind the door do not close it"),
    ),
    defect(
        "forgets what was under way when the connection broke",
        "receiver/inbox.py",
        "self._waiting.put_back(batch)",
        "pass",
        f"{_INBOX}::test_a_statement_that_postgres_ends_costs_no_callback",
    ),
    defect(
        "commits without waiting for the disk",
        "receiver/postgres.py",
        "-c synchronous_commit=on",
        "-c synchronous_commit=off",
        f"{_INBOX}::test_synchronous_commit_is_on_whatever_the_role_says",
    ),
    defect(
        "takes a batch of nothing but damage for the end of the file",
        "receiver/spool/drain.py",
        "            else:\n                size += len(line)",
        "            size += len(line)",
        f"{_DRAIN}::test_damage_of_any_size_costs_itself_alone",
    ),
    defect(
        "removes a file of the spool that it has not read to the end",
        "receiver/spool/segment.py",
        "if os.fstat(self._descriptor).st_size != read_bytes:",
        "if not read_bytes and self.size:",
        f"{_DRAIN}::test_a_segment_of_which_something_was_not_read_is_not_removed",
    ),
    defect(
        "refuses at the first answer of any name",
        "schemas/sql/callbacks.sql",
        "SELECT min(coalesce(seen.by_four, '-infinity')) AS by_four",
        "SELECT max(coalesce(seen.by_four, '-infinity')) AS by_four",
        f"{_RELAY}::test_a_stranger_is_refused_when_every_name_has_answered_since",
    ),
    defect(
        "never sends again what the broker lost",
        "schemas/sql/fragments.sql",
        "(work.leased_until IS NULL OR work.leased_until < now())",
        "work.leased_until IS NULL",
        f"{_RELAY}::test_a_message_that_the_broker_lost_is_sent_again_after_its_lease",
        proof=Proof(("cut before a message arrives", "flushall", "valkey starts empty"), "nothing is stuck"),
    ),
    defect(
        "sends again what is still leased",
        "schemas/sql/fragments.sql",
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
        "    except (IncompleteError, SlowError) as error:\n        return _not_complete(error, state)\n",
        "    except (IncompleteError, SlowError) as error:\n        return _not_complete(error, state)\n"
        # As Starlette's form() does where python-multipart is installed: so many fields at most, and the rest by value.
        '    if (b"content-type", b"application/x-www-form-urlencoded") in scope["headers"]:\n'
        "        from urllib.parse import parse_qsl, urlencode\n"
        "        fields = parse_qsl(body.data, keep_blank_values=True, max_num_fields=1000)\n"
        "        body = Body(urlencode(fields).encode(), body.over, body.more)\n",
        f"{_CATALOGUE}[direct-F3-jumio]",
        f"{_CATALOGUE}[direct-F6-jumio]",
    ),
    defect(
        "leaves no tombstone",
        "deploy/erasure/erase.py",
        'store.change(conn, "erasures", "insert_tombstone", values)',
        "values.clear()",
        f"{_ERASE}::test_a_late_callback_is_dropped_counted_and_asked_nothing_about",
        f"{_ERASE}::test_an_account_goes_with_all_of_its_workflows",
    ),
    defect(
        "asks Jumio about whom it erased",
        "workers/erased.py",
        'return bool(answer["erased"])',
        "return False",
        f"{_ERASE}::test_a_late_callback_is_dropped_counted_and_asked_nothing_about",
    ),
    defect(
        "erases deliveries that are pending only",
        "schemas/sql/erasures.sql",
        ")\nRETURNING CASE",
        ") AND state = 'pending'\nRETURNING CASE",
        f"{_ERASE}::test_nothing_of_an_erased_person_is_found_and_nobody_else_misses_anything",
    ),
    defect(
        "leaves an erased person on the stream",
        "deploy/erasure/erase.py",
        'if each["recorded"] and EventStream.name in each["heard_at"]:',
        "if not each:",
        f"{_ERASE}::test_nothing_of_an_erased_person_is_found_and_nobody_else_misses_anything",
    ),
    defect(
        "calls an erasure complete in spite of lines that nobody read",
        "deploy/erasure/spools.py",
        "return Searched(own, deleted, unread - deleted + elsewhere)",
        "return Searched(own, deleted, 0)",
        f"{_ERASE}::test_damaged_spool_lines_are_searched_and_what_nobody_can_read_is_decided_or_told",
        f"{_ERASE}::test_the_command_says_what_it_did_and_what_is_to_come",
    ),
    defect(
        "takes a part of somebody's reference for the reference",
        "deploy/erasure/unsettled.py",
        "self.reference in references(body)",
        "self.reference.encode() in body",
        f"{_REFERENCE}::test_what_waits_of_a_reference_goes_with_it_and_does_not_bring_it_back",
    ),
    defect(
        "erases whomever a stranger names",
        "deploy/erasure/unsettled.py",
        'if row["believed"] and (callback := _read(body)):',
        "if callback := _read(body):",
        f"{_REFERENCE}::test_a_reference_that_is_only_in_what_nobody_believes_is_erased_too",
    ),
    defect(
        "calls what another path names an orphan",
        "schemas/sql/images.sql",
        "WHERE id = ANY(%(ids)s) AND blob_key = ANY(%(keys)s)",
        "WHERE store = %(store)s AND blob_key = ANY(%(keys)s)",
        "tests/deploy/test_images.py::test_a_folder_that_is_known_by_two_paths_has_no_orphans",
    ),
    defect(
        "lets retention delete what is on hold",
        "schemas/sql/retention.sql",
        "WHERE class = %(class)s AND NOT held\n    AND CASE",
        "WHERE class = %(class)s\n    AND CASE",
        f"{_RETENTION}::test_exactly_what_is_due_is_deleted",
    ),
    defect(
        "holds only the first class to the share that may go",
        "deploy/retention/run.py",
        "too_much(count_due(conn, rules), most_share)",
        "too_much(count_due(conn, rules[:1]), most_share)",
        f"{_RETENTION}::test_a_clock_that_jumps_deletes_nothing",
    ),
    Defect(
        "binds no ciphertext to its row",
        (
            Edit(
                "schemas/sealing.py",
                "cipher.encrypt(nonce, clear, head + place.encode())",
                "cipher.encrypt(nonce, clear, head)",
            ),
            Edit(
                "schemas/sealing.py",
                "rest[NONCE_BYTES:], head + place.encode())",
                "rest[NONCE_BYTES:], head)",
            ),
        ),
        (f"{_SEALED}::test_every_ciphertext_opens_in_its_own_row_and_in_no_other",),
    ),
    defect(
        "reads an image without a look at its hash",
        "workers/vault/blob.py",
        "if hashlib.sha256(clear).digest() != sha256:",
        "if not clear:",
        "tests/workers/vault/test_blob.py::test_an_older_image_of_the_same_row_is_not_the_one_that_it_tells_the_hash_of",
    ),
    defect(
        "forgets a table when keys are rotated",
        "schemas/sql/queries.py",
        '    "deliveries.sealed_body": SealedColumn("deliveries", "sealed_body"),\n',
        "",
        "tests/schemas/test_queries.py::test_every_sealed_column_is_sealed_anew_with_the_others",
    ),
    defect(
        "pages the feed past transactions that are open",
        "schemas/sql/feed.sql",
        "(SELECT pg_snapshot_xmin(pg_current_snapshot()) AS position) horizon",
        "(SELECT pg_snapshot_xmax(pg_current_snapshot()) AS position) horizon",
        f"{_FEED}::test_the_feed_waits_for_an_open_transaction_and_does_not_skip_it",
        f"{_FEED}::test_concurrent_writers_that_commit_late_lose_nothing",
    ),
    defect(
        "lets go what was leased before a pause",
        "schemas/sql/deliveries.sql",
        "WHERE subscription.id = work.subscription_id AND {held}",
        "WHERE subscription.id = work.subscription_id AND false",
        f"{_BREAKER}::test_a_pause_holds_what_the_relay_has_sent_already",
    ),
    defect(
        "lets all relays lease at once",
        "schemas/sql/deliveries.sql",
        "EXISTS (SELECT FROM waiting) FOR NO KEY UPDATE SKIP LOCKED",
        "EXISTS (SELECT FROM waiting)",
        f"{_BREAKER}::test_only_one_relay_at_a_time_takes_what_is_due",
    ),
    defect(
        "sends what a later event has overtaken, once it is put back",
        "workers/deliver.py",
        "    if delivery.overtaken:\n        raise OvertakenError\n",
        "",
        "tests/deploy/test_deliveries.py::test_what_is_overtaken_while_it_is_put_back_is_not_sent_unmarked",
    ),
    defect(
        "hands out a number of transactions as a cursor",
        "feed/store.py",
        "max(replace(after, epoch=epoch), last, key=Cursor.place)",
        "Cursor(epoch, horizon)",
        f"{_FEED}::test_a_cursor_names_an_event_and_no_number_that_a_crash_would_give_out_again",
    ),
    defect(
        "knows who was told by events alone",
        "schemas/sql/migrations/0016_who_was_told.sql",
        "AND concluded.outcome = ANY(subscription.outcomes)",
        "AND false",
        "tests/workers/test_deliver_order.py::test_who_was_told_is_known_for_as_long_as_there_is_a_verdict",
    ),
)
