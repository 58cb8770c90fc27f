"""B: request lines and headers."""

from tests.receiver.catalogue.case import HEAD, Case, kept, not_kept, post

_END = b"Content-Length: 2\r\n\r\n{}"
_ODD = not_kept("400 | 403 | 404 | 405 | 426 | 501")
_PII = b"name=ADA" * 1000
_UPGRADE = b"GET /callbacks/default HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"


def _method(name: bytes) -> bytes:
    return name + HEAD[4:] + b"Content-Length: 6\r\n\r\nSECRET"


def _line(text: bytes) -> bytes:
    return text + b"\r\nHost: receiver.test\r\n" + _END


CASES = (
    Case("B1", "HTTP/0.9", b"GET /callbacks/default\r\n\r\n", not_kept("400"), nginx=not_kept("-")),
    Case("B2", "HTTP/1.9", _line(b"POST /callbacks/default HTTP/1.9"), not_kept("400 | 505"), nginx=kept(),
         haproxy=kept()),
    Case("B2a", "HTTP/2.0 in words", _line(b"POST /callbacks/default HTTP/2.0"), not_kept("400 | 505"), haproxy=kept()),
    Case("B3", "HTTP/1.0", _line(b"POST /callbacks/default HTTP/1.0"), kept()),
    Case("B4", "an offer of HTTP/2", post(b"{}", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c"), kept()),
    Case(
        "B4a", "an offer of HTTP/2, and another callback after it",
        post(b"{}", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c") + post(b"2"), kept("200 | 200 200", 1, 2),
    ),
    Case("B5", "a websocket", _UPGRADE + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: YQ==\r\n\r\n", _ODD),
    Case("B6", "a websocket by POST", post(b"{}", b"Connection: Upgrade", b"Upgrade: websocket"), kept()),
    Case("B7", "the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", not_kept("400 | 405 | -")),
    *(
        Case(f"B8-{name.decode()}", f"{name.decode()} with a body", _method(name), not_kept("405"))
        for name in (b"GET", b"HEAD", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE")
    ),
    Case("B9", "CONNECT", b"CONNECT receiver.test:443 HTTP/1.1\r\nHost: a\r\n\r\n", not_kept("400 | 404 | 405")),
    Case("B10", "a method that nobody knows", _method(b"PSOT"), not_kept("400 | 405")),
    Case("B11", "no Host", b"POST /callbacks/default HTTP/1.1\r\n" + _END, not_kept("400")),
    Case("B11a", "two Hosts", HEAD + b"Host: other.test\r\n" + _END, not_kept("400")),
    Case("B12", "a foreign Host", post().replace(b"receiver.test", b"evil.example"), kept()),
    Case("B13", "an absolute URI", _line(b"POST http://receiver.test/callbacks/default HTTP/1.1"), kept()),
    Case("B14", "a query of 8 KiB", post(path=b"/callbacks/default?" + _PII), kept()),
    Case("B15", "a URI of 64 KiB", post(path=b"/callbacks/default?" + b"q" * 65_536), not_kept("414 | 431 | 400"),
         nginx=not_kept("414 | -"), haproxy=not_kept("414 | 431 | 400 | -")),
    Case("B15a", "a path of 3 KiB", post(path=b"/callbacks/" + b"a" * 3000), not_kept("414")),
    Case("B16", "64 headers", post(b"{}", *(b"X-%d: 1" % n for n in range(58))), kept()),
    *(
        Case(f"B17-{count}", f"{count} headers",
             post(b"{}", *(b"X-%d: 1" % n for n in range(count))), not_kept("431 | 400"))
        for count in (65, 1000, 10_000)
    ),
    Case("B18", "a header of 1 MiB", HEAD + b"X: " + b"a" * 1_048_576 + b"\r\n" + _END, not_kept("431 | 400"),
         nginx=not_kept("400 | -"), haproxy=not_kept("400 | -")),
    Case("B19", "a header of 17,000 bytes", post(b"{}", b"X: " + b"a" * 17_000), not_kept("431 | 400")),
    Case("B20", "bytes that are not ASCII", post(b"{}", b"X-Name: \xc3\xa4\xff\xfe"), kept()),
    Case("B20a", "a NUL in a header", post(b"{}", b"X-Name: a\x00b"), not_kept("400")),
    Case("B20b", "a bare CR in a header", post(b"{}", b"X-Name: a\rX-Forwarded-For: 127.0.0.11"), not_kept("400"),
         nginx=kept("200 | 400", 0, 1)),
    Case("B21", "%00 in the path", post(path=b"/callbacks/default%00"), not_kept("400 | 404")),
    Case("B21a", "%zz in the path", post(path=b"/callbacks/%zz"), not_kept("400 | 404")),
    Case("B21b", "bytes that are not ASCII in the path", post(path=b"/callbacks/\xff\xfe"), not_kept("400 | 404")),
    Case("B22", "a slash at the end", post(path=b"/callbacks/default/"), kept()),
    Case("B22a", "up and down again", post(path=b"/x/../callbacks/default"), not_kept("400 | 404")),
    Case("B23", "Expect: 200-maybe", post(b"{}", b"Expect: 200-maybe"), kept("200 | 417", 0, 1)),
    Case("B23a", "Expect: 100-continue", post(b"{}", b"Expect: 100-continue"), kept("100 200 | 200")),
    Case("B24", "two content types", post(b"{}", b"Content-Type: text/plain", b"Content-Type: application/json"),
         kept(), nginx=kept("200 | 400", 0, 1)),
    Case("B26", "a content type of 8 KiB", post(b"{}", b"Content-Type: a/" + b"b" * 8192), kept("200 | 431", 0, 1)),
    Case("B26a", "a content type in capitals",
         post(b"{}", b"Content-Type: application/JSON; charset=UTF-8; x=y"), kept()),
    Case("B27", "credentials by mistake", post(b"{}", b"Authorization: Bearer SECRET", b"Cookie: a=SECRET"), kept()),
    Case("B28", "empty lines before the request", b"\r\n\r\n" + post(), kept("200 | 400", 0, 1)),
    Case("B29", "a PROXY line that nobody asked for", b"PROXY TCP4 127.0.0.11 127.0.0.1 1 2\r\n" + post(),
         not_kept("400 | -")),
    Case("B30", "TLS where it is not spoken", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
         not_kept("400")),
    Case("B30a", "no TLS where it is spoken", post(), kept(), plain=True, nginx=not_kept("400"), haproxy=not_kept("-")),
    Case("B30b", "400 bytes of chance", bytes(n * 167 % 251 for n in range(400)), not_kept("400 | -")),
)  # fmt: skip
