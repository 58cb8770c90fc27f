"""D, E and F: encodings, JSON and forms. The door reads none of it: every byte is kept, and a stranger's is refused."""

import gzip
import zlib
from pathlib import Path

from tests.receiver.catalogue.case import Case, kept, post

_JSON, _FORM = b"Content-Type: application/json", b"Content-Type: application/x-www-form-urlencoded"
_CALLBACK = b'{"account":{"id":"11111111-1111-1111-1111-111111111111"},"workflowExecution":{"id":"x"}}'
_ID = b'{"workflowExecution":{"id":"%s"}}'


def _body(number: str, about: str, body: bytes, *lines: bytes) -> Case:
    return Case(number, about, post(body, *lines), kept(), body=body)


ENCODINGS = (
    _body("D1", "UTF-8 with a mark", b"\xef\xbb\xbf" + _CALLBACK, _JSON),
    *(
        _body(f"D2-{name}", f"in {name}", '{"name":"ä"}'.encode(name), _JSON)
        for name in ("utf-16-le", "utf-16-be", "utf-16", "utf-32", "latin-1")
    ),
    _body("D5", "no UTF-8", b'{"a":"\xc3\x28"}', _JSON),
    _body("D6", "UTF-8 too long", b'{"a":"\xc0\xaf"}', _JSON),
    _body("D7", "raw NULs", b'{"a":"\x00\x00"}\x00', _JSON),
    _body("D8", "gzip that says so", gzip.compress(_CALLBACK), _JSON, b"Content-Encoding: gzip"),
    _body("D9", "gzip that does not", gzip.compress(_CALLBACK), _JSON),
    _body("D10", "deflate", zlib.compress(_CALLBACK), _JSON, b"Content-Encoding: deflate"),
    *(
        _body(f"D10-{name}", f"said to be {name}", _CALLBACK, _JSON, b"Content-Encoding: " + name.encode())
        for name in ("br", "zstd", "identity", "gzip, gzip")
    ),
    _body("D11", "a bomb", gzip.compress(bytes(50_000_000), 1), b"Content-Encoding: gzip"),
    _body("D12", "gzip cut short", gzip.compress(_CALLBACK)[:-9], b"Content-Encoding: gzip"),
    _body("D12a", "gzip with garbage after it", gzip.compress(_CALLBACK) + b"garbage", b"Content-Encoding: gzip"),
    _body("D12b", "1,000 members", gzip.compress(b"a") * 1000, b"Content-Encoding: gzip"),
    _body("D13", "an encoding that nobody knows", _CALLBACK, b"Content-Encoding: bogus"),
    _body("D14", "a charset that nobody knows", _CALLBACK, b"Content-Type: application/json; charset=klingon"),
    _body("D15", "a form that says JSON", b"callBackType=NETVERIFYID", _JSON),
    _body("D16", "JSON that says text", _CALLBACK, b"Content-Type: text/plain"),
    _body("D17", "JSON that says XML", _CALLBACK, b"Content-Type: application/xml"),
    _body("D18", "no content type", _CALLBACK),
    _body("D19", "multipart without a boundary", b"--x\r\n\r\n{}\r\n--x--", b"Content-Type: multipart/form-data"),
    _body("D19a", "10,000 parts", b"--x\r\n\r\n\r\n" * 10_000 + b"--x--",
          b"Content-Type: multipart/form-data; boundary=x"),
    _body("D20", "XML with an entity", b'<!DOCTYPE a [<!ENTITY b SYSTEM "http://127.0.0.1/">]><a>&b;</a>',
          b"Content-Type: application/xml"),
    _body("D22", "nothing", b""),
    _body("D23", "blanks", b"   \r\n\t", _JSON),
    _body("D23a", "one brace", b"{", _JSON),
    _body("D25", "somebody else's", b'{"object":"event","type":"charge.succeeded","livemode":false}', _JSON),
)  # fmt: skip

JSON = (
    *(
        _body(f"E{number}", "no JSON", text, _JSON)
        for number, text in enumerate(
            (b'{"a":', b'{"a":1,}', b'{"a":1}//x', "{“a”:1}".encode(), b'{"a":1}x', b'{"a":1}{"b":2}', b"[1,2]", b'"a"',
             b"null", b"'a'", b'{"a":NaN,"b":-Infinity}', b'{"a":1e400000}', b"9" * 5000),
            start=1,
        )
    ),
    *(_body(f"E14-{deep}", "nested", b"[" * deep + b"]" * deep, _JSON) for deep in (900, 5_000, 100_000)),
    _body("E15", "an id twice", b'{"workflowExecution":{"id":"1"},"workflowExecution":{"id":"2"}}', _JSON),
    _body("E17", "an escaped NUL", b'{"a":"\\u0000"}', _JSON),
    _body("E18", "half a surrogate", b'{"a":"\\ud800"}', _JSON),
    _body("E21", "names with a meaning elsewhere", b'{"__proto__":{},"constructor":1,"$ref":"x","$where":"1"}', _JSON),
    _body("E22", "names in another case, wide and joined",
          '{"WORKFLOWEXECUTION":1,"\uff49\uff44":"\u200d"}'.encode(), _JSON),
    _body("E24", "no id", b'{"workflowExecution":{}}', _JSON),
    *(
        _body(f"E25-{number}", "an odd id", _ID % text, _JSON)
        for number, text in enumerate(
            (b"../../admin", b"%2e%2e", b"a" * 10_240, b'\\"', b"\\r\\nHost: x", b"\\u0000", b"a.", b"{a}",
             b"00000000-0000-0000-0000-000000000000")
        )
    ),
    _body("E27", "another region", b'{"workflowExecution":{"href":"https://api.evil-1.jumio.ai/"}}', _JSON),
    _body("E28", "a status that nobody knows", b'{"workflowExecution":{"status":"PONDERED"}}', _JSON),
    _body("E30", "times that are none", b'{"callbackSentAt":"99999-13-32T24:00:60Z"}', _JSON),
    *(
        _body(f"E31-{number}", "an odd reference", b'{"userReference":"%s"}' % text, _JSON)
        for number, text in enumerate(
            (b"x" * 10_240, "\u202eevil".encode(), "👩‍💻".encode(), b"\\r\\n", b"\\u001b[31m", b"${jndi:ldap://x}",
             b"{{7*7}}", b"<script>", b"'; DROP TABLE callbacks", b"=cmd()", "a\u0308".encode())
        )
    ),
)  # fmt: skip

FORMS = tuple(
    _body(f"F{number}", about, body, _FORM)
    for number, (about, body) in enumerate(
        (
            ("a field", b"callBackType=NETVERIFYID&jumioIdScanReference=x"),
            ("a name twice", b"a=1&a=2"),
            ("10,000 fields", b"&".join(b"f%d=1" % n for n in range(10_000))),
            ("percents without a meaning", b"a=%zz&b=%"),
            ("an escaped NUL", b"a=%00"),
            ("plus and blanks", b"a=+%20%2B"),
            ("broken JSON in a field", b"document=%7B%22a%22%3A"),
            ("a name without a value", b"a&b"),
            ("semicolons", b"a=1;b=2"),
            ("Latin-1", b"a=%E4"),
            ("a value of 900 KB", b"a=" + b"v" * 900_000),
            ("no name", b"=1&&="),
            ("brackets", b"a[b]=1"),
            ("a form and JSON", b'a=1{"b":2}'),
        ),
        start=1,
    )
)

# Every body that is broken on purpose elsewhere in these tests.
_MALFORMED = Path(__file__).parents[2] / "fixtures" / "malformed"
FIXTURES = tuple(_body(f"DEF-{path.name}", "of the fixtures", path.read_bytes())
                 for path in sorted(_MALFORMED.iterdir())
                 if path.stat().st_size <= 1_048_576)  # fmt: skip
CASES = (*ENCODINGS, *JSON, *FORMS, *FIXTURES)
