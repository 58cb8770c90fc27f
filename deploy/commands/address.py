"""An IP address as a parameter of a command."""

import click

from receiver.source import Address, parse_address


class AddressType(click.ParamType[Address]):
    """Text to address, or a usage error that quotes the text."""

    name = "ip"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        address = parse_address(value)
        if address is None:
            self.fail(f"{value!r} is not an IP address", param, ctx)
        return address


ADDRESS = AddressType()
