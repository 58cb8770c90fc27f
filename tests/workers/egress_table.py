"""Addresses and spellings that no event may go to."""

# IANA's special-purpose registries, and those that other tables forgot.
FORBIDDEN = [
    "10.0.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "0.0.0.0",
    "0.1.2.3",
    "168.63.129.16",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::",
    "2001:0:7f00:1::",
    "fe80::1",
    "fec0::1",
    "fd00:ec2::254",
    "2001:db8::1",
    "3fff::1",
    "5f00::1",
    "100::1",
    "ff02::1",
    "172.16.0.1",
    "192.168.0.1",
    "192.0.0.9",
    "192.0.0.10",
    "203.0.113.1",
    "198.51.100.1",
    "2001:20::1",
    "::8.8.8.8",
    "::ffff:0:127.0.0.1",
    "64:ff9b::808:808",
    "4000::1",
    "e000::1",
]
# IANA's special-purpose registries and what clouds keep for themselves, range by range.
MORE_FORBIDDEN = [
    "192.31.196.1",  # AS112-v4, RFC 7535
    "192.52.193.1",  # AMT, RFC 7450
    "192.175.48.1",  # direct delegation AS112, RFC 7534
    "192.0.0.170",  # NAT64 discovery, RFC 7050
    "192.0.0.192",  # Oracle's metadata
    "198.19.255.255",  # the end of benchmarking, RFC 2544
    "100.100.100.200",  # Alibaba's metadata, in shared address space
    "169.254.170.2",  # ECS task credentials
    "239.255.255.250",  # SSDP multicast
    "233.252.0.1",  # MCAST-TEST-NET, RFC 6676
    "255.255.255.254",
    "::ffff:10.0.0.1",
    "::ffff:100.64.0.1",
    "::ffff:168.63.129.16",
    "::ffff:0.0.0.0",
    "::ffff:0:0",
    "::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1:ffff::1",
    "100:0:0:1::1",  # dummy prefix, RFC 9780
    "2001:1::1",  # port control protocol anycast
    "2001:2::1",  # benchmarking, RFC 5180
    "2001:3::1",  # AMT
    "2001:4:112::1",  # AS112-v6
    "2001:10::1",  # ORCHID, RFC 4843
    "2001:30::1",  # drone remote id, RFC 9374
    "2001:0:ffff:ffff:ffff:ffff:80ff:fffe",  # Teredo around 127.0.0.1
    "2002:a00:1::1",  # 6to4 around 10.0.0.1
    "2002:c0a8:101::1",  # 6to4 around 192.168.1.1
    "2620:4f:8000::1",  # direct delegation AS112, RFC 7534
    "2600:1f18::5efe:7f00:1",  # ISATAP around 127.0.0.1, RFC 5214
    "2600:1f18::200:5efe:a9fe:a9fe",  # ISATAP around 169.254.169.254
    "3ffe::1",  # 6bone, given back: RFC 3701
    "2d00::1",  # not given out
    "5f00:ffff::1",  # SRv6 SIDs, RFC 9602
    "fc00::1",
    "fdff:ffff::1",
    "fe80::ffff:7f00:1",
    "feff::1",
    "ff05::1:3",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "1::1",
    "4001::1",
    "8000::1",
    "a000::1",
    "c000::1",
]
ALL_FORBIDDEN = (*FORBIDDEN, *MORE_FORBIDDEN)

FORMS = (
    "https://127.1:{port}/",
    "https://0x7f.1:{port}/",
    "https://0x7f000001:{port}/",
    "https://2130706433:{port}/",
    "https://017700000001:{port}/",
    "https://0177.0.0.1:{port}/",
    "https://127.0.0.1.:{port}/",
    "https://①②⑦.0.0.1:{port}/",
    "https://127。0。0。1:{port}/",
    "https://127%2e0%2e0%2e1:{port}/",
    "https://hooks.example@127.0.0.1:{port}/",
    "https://user:word@hooks.example:{port}/",
    "https://hooks.example\\@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}\\.hooks.example/",
    "https://hooks.example.:{port}/",
    "https:127.0.0.1:{port}/",
    "https:///127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}",
    "gopher://127.0.0.1:{port}/",
    "file:///etc/passwd",
    "unix:///127.0.0.1:{port}",
    " https://127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/\r\nHost: evil",
    "https://127.0.0.1\t:{port}/",
    "https://127.0.0.1:{port}/#fragment",
    "https://[::ffff:127.0.0.1]:{port}/",
    "https://[::1%25lo]:{port}/",
    "https://[::1]:{port}/",
    "https://[127.0.0.1]:{port}/",
    "https://127.0.0.1:0/",
    "https://127.0.0.1:65536/",
    "https://127.0.0.1:+{port}/",
    "https://loc\u0130alhost:{port}/",
    "https://\u212aelvin.example:{port}/",
    "https://-hooks.example:{port}/",
    "https://" + "a" * 64 + ".example:{port}/",
    "https://hooks..example:{port}/",
    "https://hooks.example:{port}/" + "a" * 2048,
    "http://hooks.example:{port}/",
    "",
)

# Ports on which something else than a subscriber listens, on public addresses too.
BAD_PORTS = (
    *(
        21,
        22,
        23,
        25,
        53,
        110,
        143,
        389,
        445,
        465,
        587,
        993,
        1433,
        1521,
        2049,
        2375,
        2379,
        3306,
        5432,
        5672,
        6000,
        6379,
    ),
    *(6667, 9042, 9092, 9200, 10080, 10250, 11211, 27017),
)
