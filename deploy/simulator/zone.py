"""What the DNS server knows, and the replies that follow from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Literal

import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

Behaviour = Literal["normal", "servfail", "nxdomain", "refused", "empty", "silent", "truncated", "garbage"]

# Loopback, so that the simulator can truly bind and send from them. One or more a name, as Jumio has.
CALLBACK_ZONE: Mapping[str, Sequence[str]] = {
    "callback.amer-1.jumio.ai": ("127.0.0.11", "127.0.0.12"),
    "callback.emea-1.jumio.ai": ("127.0.0.13", "127.0.0.14"),
    "callback.apac-1.jumio.ai": ("127.0.0.15",),
    "callback.jumio.com": ("127.0.0.11", "127.0.0.16"),
    "callback.lon.jumio.com": ("127.0.0.17",),
    "callback.core-sgp.jumio.com": ("127.0.0.18",),
}
# In no name's answer, and never to be added to one: the faults post from it.
OUTSIDER = "127.0.0.66"

_FAILURES = {"servfail": dns.rcode.SERVFAIL, "nxdomain": dns.rcode.NXDOMAIN, "refused": dns.rcode.REFUSED}
# A denial is cached for the SOA's minimum; short, so that a test sees a name come back.
_DENIAL_SECONDS = 5
_CLASS = dns.rdataclass.IN


@dataclass(frozen=True)
class Rule:
    """One name: its addresses of both kinds, and the CNAMEs through which a reply leads to them."""

    addresses: tuple[str, ...] = ()
    ttl: int = 60
    cname: tuple[str, ...] = ()

    def changed(self, *, addresses: Sequence[str] | None, ttl: int | None, cname: Sequence[str] | None) -> "Rule":
        return replace(
            self,
            addresses=self.addresses if addresses is None else tuple(addresses),
            ttl=self.ttl if ttl is None else ttl,
            cname=self.cname if cname is None else tuple(cname),
        )

    def of_type(self, rdtype: dns.rdatatype.RdataType) -> tuple[str, ...]:
        version = {dns.rdatatype.A: 4, dns.rdatatype.AAAA: 6}.get(rdtype)
        return tuple(found for found in self.addresses if ip_address(found).version == version)


Zone = dict[str, Rule]


def reply(query: dns.message.Message, zone: Zone, behaviour: Behaviour) -> dns.message.Message:
    """The whole reply, before a transport shortens it."""
    answer = dns.message.make_response(query)
    answer.flags |= dns.flags.AA
    rule = zone.get(query.question[0].name.to_text(omit_final_dot=True).lower())

    if behaviour in _FAILURES:
        answer.set_rcode(_FAILURES[behaviour])
    elif rule is None:
        answer.set_rcode(dns.rcode.NXDOMAIN)
    elif behaviour != "empty":
        _fill(answer, rule)

    if not answer.answer and answer.rcode() in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        answer.authority.append(_start_of_authority(query))
    return answer


def _fill(answer: dns.message.Message, rule: Rule) -> None:
    question = answer.question[0]
    owner = question.name.to_text()
    for alias in rule.cname:
        target = alias.rstrip(".") + "."
        answer.answer.append(dns.rrset.from_text(owner, rule.ttl, _CLASS, dns.rdatatype.CNAME, target))
        owner = target
    found = rule.of_type(question.rdtype)
    if found:
        answer.answer.append(dns.rrset.from_text(owner, rule.ttl, _CLASS, question.rdtype, *found))


def _start_of_authority(query: dns.message.Message) -> dns.rrset.RRset:
    apex = query.question[0].name.parent()
    numbers = f"1 3600 600 86400 {_DENIAL_SECONDS}"
    text = f"ns.simulator.test. hostmaster.simulator.test. {numbers}"
    return dns.rrset.from_text(apex, _DENIAL_SECONDS, _CLASS, dns.rdatatype.SOA, text)
