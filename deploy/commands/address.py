"""An IP address as a parameter of a command."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import click

Address = IPv4Address | IPv6Address


class AddressType(click.ParamType[Address]):
    """Text to address, or a usage error that quotes the text."""

    name = "ip"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        try:
            return ip_address(value)
        except ValueError:
            self.fail(f"{value!r} is not an IP address", param, ctx)


ADDRESS = AddressType()
