"""A: where one message ends and the next begins."""

from tests.receiver.catalogue.case import HEAD, LIMIT, Case, chunked, kept, not_kept, post

_BAD = not_kept("400")
_CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
_SMUGGLED = b"POST /callbacks/default HTTP/1.1\r\nHost: receiver.test\r\nContent-Length: 8\r\n\r\nSMUGGLED"


def _length(text: bytes) -> bytes:
    return HEAD + b"Content-Length:" + text + b"\r\n\r\n{}"


CASES = (
    Case("A1", "a length, and exactly such a body", post(b'{"a":1}'), kept(), body=b'{"a":1}'),
    Case("A2", "one chunk", chunked(b"{}"), kept(), body=b"{}"),
    Case("A3", "chunks of one byte", chunked(*[b"a"] * 300), kept(), body=b"a" * 300),
    Case("A4", "neither length nor chunks", HEAD + b"\r\n", kept(), body=b""),
    Case(
        "A5", "a length of 4, chunks, and another request in the body",
        HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + _SMUGGLED, _BAD,
        # haproxy believes the chunks, sends them on alone, and hears nothing more on this connection.
        haproxy=kept("200"),
    ),
    Case(
        "A6", "chunks, then a length",
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + _SMUGGLED, _BAD,
        haproxy=kept("200"),
    ),
    Case(
        "A7", "the same length twice", HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", _BAD,
        haproxy=kept("200"),
    ),
    Case("A8", "two lengths that differ", HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x", _BAD),
    Case("A9", "a list of lengths", _length(b" 2, 2"), _BAD, haproxy=kept("200")),
    Case("A10", "a length of +2", _length(b" +2"), _BAD),
    Case("A11", "a length of 1_0", _length(b" 1_0"), _BAD),
    Case("A12", "a length of -1", _length(b" -1"), _BAD),
    Case("A13", "a length of 0x2", _length(b" 0x2"), _BAD),
    Case("A14", "a length of 21 digits", _length(b" " + b"9" * 21), _BAD, nginx=not_kept("400 | 413")),
    Case("A15", "a length of 5,000 digits", _length(b" " + b"9" * 5000), _BAD, nginx=not_kept("400 | 413")),
    Case("A16", "an empty length", _length(b""), _BAD),
    Case("A17", "a length of 100, 5 bytes, and the end", HEAD + b"Content-Length: 100\r\n\r\nhello",
         not_kept("400 | 408 | -"), half_close=True),
    Case("A18", "half a head, and the end", HEAD + b"Content-Le", not_kept("400 | 408 | -"), half_close=True),
    Case("A19", "10 bytes after the body", post(b"{}") + b"\x00\x01garbage!", kept("200 400 | 200"), body=b"{}"),
    Case("A20", "a byte over the limit", post(b"b" * (LIMIT + 1)), kept("413"), body=b"b" * LIMIT),
    Case("A21", "a byte over the limit, in chunks", chunked(b"c" * (LIMIT + 1)), kept("413"), body=b"c" * LIMIT),
    Case("A22", "exactly the limit", post(b"d" * LIMIT), kept(), body=b"d" * LIMIT),
    Case("A23", "a chunk of FFFFFFFFFFFFFFFFF bytes", _CHUNKED + b"FFFFFFFFFFFFFFFFF\r\n{}", _BAD,
         nginx=not_kept("400 | 413")),
    Case("A24", "a chunk of -1 bytes", _CHUNKED + b"-1\r\n{}\r\n0\r\n\r\n", _BAD),
    Case("A25", "a chunk of 0x2 bytes", _CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n", _BAD),
    Case("A26", "a chunk longer than it says", _CHUNKED + b"2\r\n{}{}\r\n0\r\n\r\n", _BAD),
    Case("A27", "a chunk without a size", _CHUNKED + b"\r\n{}\r\n0\r\n\r\n", _BAD),
    Case("A28", "a chunk shorter than it says", _CHUNKED + b"5\r\n{}\r\n0\r\n\r\n", not_kept("400 | -"),
         half_close=True),
    Case("A29", "a small extension of a chunk", _CHUNKED + b"2;a=b\r\n{}\r\n0\r\n\r\n", kept(), body=b"{}"),
    Case("A30", "1,000 chunks, each with an extension of 8 KiB",
         _CHUNKED + (b"1;" + b"e" * 8192 + b"\r\na\r\n") * 1000 + b"0\r\n\r\n", _BAD,
         nginx=kept("200 | 400 | 413 | -", 0, 1), haproxy=kept("200 | 400 | 413 | -", 0, 1)),
    Case("A31", "a trailer that forwards", chunked(b"{}", trailer=b"X-Forwarded-For: 127.0.0.11\r\n"), kept(),
         body=b"{}"),
    Case("A32", "a trailer that says Host", chunked(b"{}", trailer=b"Host: other.test\r\n"), kept(),
         nginx=kept("200"), haproxy=kept("200 | 400", 0, 1)),
    Case("A33", "a trailer with a length", chunked(b"{}", trailer=b"Content-Length: 90\r\n"), kept("200 | 400", 0, 1)),
    Case("A34", "a trailer without end", _CHUNKED + b"2\r\n{}\r\n0\r\nX: " + b"t" * 200_000,
         not_kept("400 | 413"), nginx=not_kept("400 | 408 | -"), haproxy=not_kept("400 | 408 | 413 | -"),
         half_close=True),
    Case("A35", "Transfer-Encoding: identity", HEAD + b"Transfer-Encoding: identity\r\n\r\n", not_kept("400 | 501"),
         haproxy=kept("200 | 400 | 422 | 501", 0, 1)),
    Case("A36", "Transfer-Encoding: gzip, chunked",
         HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
         kept("200 | 400 | 501", 0, 1), haproxy=not_kept("422")),
    Case("A37", "a blank before the colon", HEAD + b"Transfer-Encoding : chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", _BAD,
         # nginx takes it for a name that it does not know, and so the body for the next request.
         nginx=kept("400 | 200 400", 0, 1)),
    Case("A38", "closed within a chunk", _CHUNKED + b"5\r\nhel", not_kept("400 | 408 | -"), half_close=True),
    Case("A39", "closed before the last chunk", _CHUNKED + b"2\r\n{}\r\n", not_kept("400 | 408 | -"), half_close=True),
    Case("A40", "two callbacks at once", post(b"1") + post(b"2"), kept("200 200", 2)),
    Case("A40a", "two callbacks and garbage at once",
         post(b"1") + post(b"2") + b"\x00garbage\r\n\r\n", kept("200 200", 2),
         nginx=kept("200 200 400", 2), haproxy=kept("200 200 400", 2)),
    Case("A40b", "a callback and half of one at once", post(b"1") + post(b"22")[:-1], kept("200"), half_close=True,
         nginx=kept("200 | 200 400"), haproxy=kept("200 | 200 400")),
    Case("A41", "bare line feeds", post(b"{}").replace(b"\r\n", b"\n"), _BAD, nginx=kept("200"), haproxy=kept("200")),
    Case("A42", "a folded header", HEAD + b"X-A: b\r\n c\r\nContent-Length: 2\r\n\r\n{}", kept("200 | 400", 0, 1)),
    Case("G11", "the sending side shut after the body", post(b"{}"), kept(), half_close=True),
)  # fmt: skip
