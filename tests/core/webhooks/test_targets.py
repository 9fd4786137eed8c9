"""Hostile URLs are refused, whatever they are written like and wherever their names lead."""

from collections.abc import Sequence

import pytest

from core.kit.settings import Settings
from core.webhooks.errors import TargetRefused
from core.webhooks.targets import TargetPolicy, Unresolvable

PUBLIC = "93.184.215.14"


def never(host: str, port: int) -> Sequence[str]:
    raise AssertionError(f"{host}:{port} was looked up")


def always(*addresses: str) -> TargetPolicy:
    return TargetPolicy(Settings(), lambda _host, _port: addresses)


HOSTILE = (
    # not https
    "http://example.com/hook",
    "ftp://example.com/hook",
    "file:///etc/passwd",
    "gopher://example.com/",
    "javascript:alert(1)",
    "//example.com/hook",
    "example.com/hook",
    "https:example.com",
    "https:/example.com",
    "HTTPS:\\\\example.com",
    "",
    # addresses of this machine
    "https://127.0.0.1/",
    "https://127.255.255.254/",
    "https://0.0.0.0/",
    "https://[::1]/",
    "https://[::]/",
    "https://localhost/",
    "https://LOCALHOST./",
    "https://a.localhost/",
    # in disguise
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://017700000001/",
    "https://0177.0.0.1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://127.0.0.01/",
    "https://127.0.0.1./",
    "https://example.com.0x7f/",
    "https://\uff11\uff12\uff17.\uff10.\uff10.\uff11/",
    "https://127\u30020\u30020\u30021/",
    "https://%31%32%37.0.0.1/",
    "https://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/",
    "https://256.256.256.256/",
    # private networks
    "https://10.0.0.1/",
    "https://10.255.255.255/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://100.127.255.254/",
    "https://[fd00::1]/",
    "https://[fc00::1]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fec0::1]/",
    # an address inside another
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::127.0.0.1]/",
    "https://[::ffff:0:127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://[64:ff9b:1::a9fe:a9fe]/",
    "https://[2002:7f00:1::]/",
    "https://[2002:a9fe:a9fe::1]/",
    "https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    # metadata services
    "https://169.254.169.254/latest/meta-data/",
    "https://[::ffff:169.254.169.254]/",
    "https://[fd00:ec2::254]/",
    "https://100.100.100.200/",
    "https://168.63.129.16/",
    "https://metadata.google.internal/",
    "https://metadata/",
    "https://169.254.170.2/v2/credentials",
    # other special ones
    "https://169.254.0.1/",
    "https://192.0.0.8/",
    "https://192.0.2.1/",
    "https://198.18.0.1/",
    "https://198.51.100.1/",
    "https://203.0.113.9/",
    "https://224.0.0.1/",
    "https://239.255.255.250/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://[ff02::1]/",
    "https://[2001:db8::1]/",
    "https://[100::1]/",
    # names of private networks
    "https://printer.local/",
    "https://db.internal/",
    "https://redis/",
    "https://nas.home.arpa/",
    "https://wiki.corp/",
    # credentials, ports, and what parsers disagree about
    "https://user:secret@example.com/",
    "https://user@example.com/",
    "https://example.com@127.0.0.1/",
    "https://@example.com/",
    "https://example.com:22/",
    "https://example.com:6379/",
    "https://example.com:25/",
    "https://example.com:80/",
    "https://example.com:0/",
    "https://example.com:/",
    "https://example.com:65536/",
    "https://example.com:-1/",
    "https://example.com\\@127.0.0.1/",
    "https://example.com#@127.0.0.1/",
    "https://example.com/#fragment",
    "https://exa mple.com/",
    "https://example.com/a b",
    "https://example.com/\r\nHost: 127.0.0.1",
    "https://example.com\t.evil/",
    "https://example.com/\x00",
    "https://[127.0.0.1]/",
    "https://[v1.fe80::1]/",
    "https://[::1/",
    "https://::1/",
    "https://.example.com/",
    "https://example..com/",
    "https://-example.com/",
    "https://exam_ple!.com/",
    "https://" + "a" * 300 + ".com/",
    "https://example.com/" + "a" * 2048,
    "https://",
    "https:///hook",
    "https://?",
)


def test_there_are_many_and_each_is_one() -> None:
    assert len(set(HOSTILE)) == len(HOSTILE) >= 60


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_hostile_url_is_refused(number: int) -> None:
    # Names resolve to a public address here, so that whatever is refused is refused for how it is written.
    with pytest.raises(TargetRefused) as refusal:
        always(PUBLIC).check(HOSTILE[number])
    assert refusal.value.reason
    assert refusal.value.extra["errors"][0]["path"] == "body.url"


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1",),
        ("10.1.2.3",),
        ("169.254.169.254",),
        ("100.64.1.1",),
        ("168.63.129.16",),
        ("::1",),
        ("::ffff:127.0.0.1",),
        ("64:ff9b::7f00:1",),
        ("fe80::1%eth0",),
        (PUBLIC, "127.0.0.1"),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", "fd00::1"),
        ("what is this",),
    ],
)
def test_a_name_that_leads_inside_is_refused_if_only_one_of_its_addresses_does(addresses: tuple[str, ...]) -> None:
    with pytest.raises(TargetRefused) as refusal:
        always(*addresses).check("https://rebind.example.com/")
    assert refusal.value.reason == "address_refused"


def test_a_name_without_an_address_is_refused() -> None:
    def fails(_host: str, _port: int) -> Sequence[str]:
        raise OSError("no such name")

    for policy in (always(), TargetPolicy(Settings(), fails)):
        with pytest.raises(Unresolvable):
            policy.check("https://nowhere.example.com/")


def test_a_public_target_carries_the_addresses_that_were_judged() -> None:
    target = always(PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c").check("https://Hooks.Example.COM./a?b=c")
    assert (target.host, target.port, target.path) == ("hooks.example.com", 443, "/a?b=c")
    assert target.addresses == (PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c")
    assert target.authority == "hooks.example.com"
    other = always(PUBLIC).check("https://münchen.example:8443")
    assert (other.authority, other.path) == ("xn--mnchen-3ya.example:8443", "/")
    literal = TargetPolicy(Settings(), never).check(f"https://{PUBLIC}/hook")
    assert literal.addresses == (PUBLIC,)
    assert TargetPolicy(Settings(), never).check("https://[2606:4700::1111]/").authority == "[2606:4700::1111]"


def test_an_operator_opens_networks_and_hosts_and_nothing_beside_them() -> None:
    opened = Settings(webhook_allowed_networks=["10.1.0.0/16", "::1/128"], webhook_allowed_hosts=["hooks"])
    policy = TargetPolicy(opened, lambda _host, _port: ("10.1.2.3",))
    assert policy.check("http://10.1.2.3:9000/").addresses == ("10.1.2.3",)
    assert policy.check("https://[::1]:9/").addresses == ("::1",)
    assert policy.check("http://wiki.example.com:8080/").addresses == ("10.1.2.3",)
    assert policy.check("http://hooks:9000/").addresses == ("10.1.2.3",)
    for refused in ("http://10.2.0.1/", "https://127.0.0.1/", "https://redis/", "http://example.org@10.1.2.3/"):
        with pytest.raises(TargetRefused):
            policy.check(refused)
    # An address of the open network beside one that is public does not open plain http to the public one.
    mixed = TargetPolicy(opened, lambda _host, _port: ("10.1.2.3", PUBLIC))
    with pytest.raises(TargetRefused) as refusal:
        mixed.check("http://mixed.example.com/")
    assert refusal.value.reason == "https_required"


def test_networks_that_are_none_stop_the_start() -> None:
    with pytest.raises(ValueError, match="webhook_allowed_networks"):
        Settings(webhook_allowed_networks=["10.0.0.0/99"])
