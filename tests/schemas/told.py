"""What the older generations' callbacks told and retrieval API v2 answers, from the fixtures."""

import json
from pathlib import Path

from schemas.callbacks.families import authentication, document, netverify
from schemas.callbacks.recognise import read_callback
from schemas.report import Report

FIXTURES = Path(__file__).parents[1] / "fixtures"
KEY = "085f4bc0-2132-4f32-9747-d1dfafee2375"
AUTHENTICATION_KEY = "92a1bb2c-d421-475f-b613-903b6167b2c8"
DOCUMENT_KEY = "43366451-0dd2-45f5-925d-40c32138c17c"


def body(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


def told(name: str) -> Report:
    report = read_callback(body(f"callbacks/{name}.form")).told
    assert report is not None
    return report


def scan(status: str = "done", data: str = "approved", images: str | None = "images_list") -> Report:
    documents = {
        "status": body(f"retrieval/legacy/scan_status_{status}.json"),
        "data": body(f"retrieval/legacy/scan_data_{data}.json") if data else None,
        "images": body(f"retrieval/legacy/scan_{images}.json") if images else None,
    }
    return netverify.report(documents, KEY)


def authenticated() -> Report:
    answer = body("retrieval/legacy/authentication.json")
    return authentication.report({"authentication": answer}, AUTHENTICATION_KEY)


def papers() -> Report:
    inner = '{"issueDate":"2025-12-31",\n"firstName":"MARIBEL ROSE"\n}'
    data = {
        "document": {
            "status": "EXTRACTED",
            "type": "BS",
            "country": "USA",
            "originalDocument": "https://x/original",
            "extractedData": {"firstName": "MARIBEL", "signatureAvailable": False, "extractedData": inner},
        },
        "transaction": {"status": "DONE"},
        "scanReference": DOCUMENT_KEY,
    }
    documents = {
        "status": json.dumps({"status": "DONE", "scanReference": DOCUMENT_KEY}).encode(),
        "data": json.dumps(data).encode(),
        "pages": body("retrieval/legacy/document_pages.json"),
    }
    return document.report(documents, DOCUMENT_KEY)
