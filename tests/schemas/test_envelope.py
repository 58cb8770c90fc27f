"""One event, one text: the same bytes for the same event, and nothing in them that was not handed over."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events.envelope import CONTENT_TYPE, envelope

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
EVENT: dict[str, Any] = {
    "source": "/jumio-pipeline",
    "subject": "w-1",
    "sequence": 2,
    "occurred_at": MOMENT,
    "data": {"outcome": "rejected", "label": "Prüfung ✓"},
}
ID = UUID("0198c0de-0000-7000-8000-000000000001")


def test_the_text_is_what_is_signed_so_it_is_this_one() -> None:
    text = envelope(ID, "kyc.workflow.changed.v1", **EVENT)

    assert text == (
        '{"specversion":"1.0","id":"0198c0de-0000-7000-8000-000000000001","source":"/jumio-pipeline",'
        '"type":"kyc.workflow.changed.v1","subject":"w-1","time":"2026-01-02T03:04:05.678901Z",'
        '"datacontenttype":"application/json","sequence":2,"data":{"outcome":"rejected","label":"Prüfung ✓"}}'
    )
    assert CONTENT_TYPE == "application/cloudevents+json"


def test_a_time_of_another_zone_keeps_its_offset() -> None:
    moment = MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30)))

    document = json.loads(envelope(ID, "kyc.workflow.decided.v1", **{**EVENT, "occurred_at": moment}))

    assert document["time"] == "2026-01-02T08:34:05.678901+05:30"
    assert datetime.fromisoformat(document["time"]) == MOMENT


@given(
    data=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
        st.none() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])) | st.lists(st.booleans()),
    )
)
def test_any_data_arrives_as_it_was_given(data: dict[str, Any]) -> None:
    text = envelope(ID, "kyc.workflow.decided.v1", **{**EVENT, "data": data})

    assert json.loads(text.encode())["data"] == data
    assert text == envelope(ID, "kyc.workflow.decided.v1", **{**EVENT, "data": data})


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        envelope(ID, "kyc.workflow.decided.v1", **{**EVENT, "data": {"decided_at": MOMENT}})
