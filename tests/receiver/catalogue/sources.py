"""C: who is calling. 127.0.0.11 is Jumio's; 127.0.1.0/24 are the receiver's proxies, strangers to nginx and haproxy."""

from tests.receiver.catalogue.case import Case, chunked, kept, not_kept, post
from tests.receiver.serving import JUMIO, STRANGER

_G, _A, _P = JUMIO.encode(), STRANGER.encode(), "127.0.1.5"
_LONELY = not_kept("403")


def _via(number: str, about: str, *lines: bytes, allowed: bool = False, peer: str = _P) -> Case:
    """Through a proxy that the receiver trusts. To nginx and haproxy it is one more stranger with a header."""
    data = post(b"{}", *(b"X-Forwarded-For: " + line for line in lines))
    return Case(number, about, data, kept() if allowed else _LONELY, _LONELY, _LONELY, peer=peer)


CASES = (
    Case("C1", "nobody forwards", post(), kept()),
    Case("C2", "a stranger says Jumio", post(b"{}", b"X-Forwarded-For: " + _G), _LONELY, peer=STRANGER),
    Case("C2a", "Jumio says a stranger", post(b"{}", b"X-Forwarded-For: " + _A), kept()),
    _via("C3", "Jumio through a proxy", _G, allowed=True),
    _via("C4", "a stranger through a proxy", _A),
    _via("C5", "a stranger through Jumio", _A + b", " + _G, allowed=True),
    _via("C5a", "Jumio through a stranger", _G + b", " + _A),
    _via("C6", "two lines, the stranger last", _G, _A),
    _via("C6a", "two lines, Jumio last", _A, _G, allowed=True),
    _via("C7", "through two proxies", _G + b", 127.0.1.9", allowed=True),
    _via("C8", "IPv4 in IPv6", b"::ffff:" + _G, allowed=True),
    _via("C8a", "with a port", _G + b":4711", allowed=True),
    *(
        _via(f"C9-{number}", f"forwarded for {entry!r}", entry)
        for number, entry in enumerate((
            b"", b",", b" , ,x", b"unknown", b"_hidden", b"<script>", b"1.2.3", _G + b",", b"127.0.0.011",
            b"2130706443", b"0x7f.0.0.11", b"\xc2\xa0" + _G + b"\xc2\xa0", b"[" + _G, _G + b":99999999",
            b'"' + _G + b'"',
        ))
    ),
    _via("C10", "no header at all"),
    _via("C11", "only proxies", b"127.0.1.7, 127.0.1.8"),
    *(
        Case(f"C12-{name}", f"a stranger says {name}", post(b"{}", name.encode() + b": " + value), _LONELY,
             peer=STRANGER)
        for name, value in (
            ("Forwarded", b"for=" + _G), ("X-Real-IP", _G), ("True-Client-IP", _G), ("CF-Connecting-IP", _G),
            ("X-Client-IP", _G), ("X-Cluster-Client-IP", _G), ("X-Originating-IP", _G), ("X-Remote-IP", _G),
            ("Fastly-Client-IP", _G), ("X-Azure-ClientIP", _G), ("X_Forwarded_For", _G), ("Via", _G),
        )
    ),
    Case("C13", "a proxy says Forwarded where X-Forwarded-For is believed", post(b"{}", b"Forwarded: for=" + _G),
         _LONELY, peer=_P),
    _via("C15", "Jumio's IPv6 in capitals, at full length", b"2A05:D018:0000:0000:0000:0000:0000:0001", allowed=True),
    _via("C15a", "Jumio's IPv6 with brackets and a port", b"[2a05:d018::1]:4711", allowed=True),
    Case("C17", "this machine", post(), _LONELY, peer="127.0.0.1"),
    Case("C17a", "this machine says Jumio", post(b"{}", b"X-Forwarded-For: " + _G), _LONELY, peer="127.0.0.1"),
    Case("C18", "one below", post(), _LONELY, peer="127.0.0.10"),
    Case("C18a", "one above the last", post(), _LONELY, peer="127.0.0.13"),
    Case("C23", "scheme, host and port forged by Jumio's proxy",
         post(b"{}", b"X-Forwarded-For: " + _A, b"X-Forwarded-Proto: https", b"X-Forwarded-Host: " + _G,
              b"X-Forwarded-Port: 443"), _LONELY, peer=_P),
    _via("C24", "the neighbour of the proxies", _G, peer="127.0.2.5"),
    Case("A40", "a stranger after three of Jumio's on one connection of a proxy",
         b"".join(post(b"{}", b"X-Forwarded-For: " + who) for who in (_G, _G, _G, _A, _G)), kept("200 200 200 403", 3),
         nginx=not_kept("403 403 403 403 403"), haproxy=not_kept("403 403 403 403 403"), peer=_P),
    Case("C25", "a stranger's trailer through a proxy",
         chunked(b"{}", lines=b"X-Forwarded-For: " + _A + b"\r\n", trailer=b"X-Forwarded-For: " + _G + b"\r\n"),
         _LONELY, peer=_P),
    Case("C26", "a stranger's trailer", chunked(b"{}", trailer=b"X-Forwarded-For: " + _G + b"\r\n"), _LONELY,
         peer=STRANGER),
)  # fmt: skip
