"""Files of the console: as published, cached for good, and small."""

import gzip
import hashlib
import json
import re

from api.console.assets import ROOT, asset_url, assets
from tests.factories.api import RunningApi

VENDOR = ROOT / "vendor"
# What a page of the size may weigh, before its own HTML.
SCRIPT_MAX_BYTES = 110_000


def test_files_of_others_are_exactly_those_of_their_packages() -> None:
    recorded = json.loads((VENDOR / "versions.json").read_text(encoding="utf-8"))
    files = {path.name for path in VENDOR.iterdir() if path.suffix in {".js", ".css"}}
    assert files == set(recorded)
    for name, given in recorded.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == given["sha256"], name
        assert re.fullmatch(r"[a-z.]+@\d+\.\d+\.\d+", given["package"])
        assert (VENDOR / f"{name.split('.')[0]}.LICENSE").is_file()


def test_a_file_is_served_at_the_address_of_its_digest_only(api: RunningApi) -> None:
    with api.client("") as client:
        for name, asset in assets().items():
            answer = client.get(asset_url(name))
            assert answer.status_code == 200
            assert answer.content == asset.content
            assert answer.headers["content-type"] == asset.media_type
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert client.get(f"/console/static/{'0' * 16}/{name}").status_code == 404
        for name in ("../__init__.py", "..%2f__init__.py", "vendor/versions.json", "nothing.js"):
            assert client.get(f"/console/static/{'0' * 16}/{name}").status_code == 404


def test_the_scripts_are_small() -> None:
    assert sum(len(asset.content) for name, asset in assets().items() if name.endswith(".js")) < SCRIPT_MAX_BYTES
    assert sum(len(gzip.compress(asset.content)) for asset in assets().values()) < SCRIPT_MAX_BYTES // 2


def test_styles_use_no_color_but_the_variables() -> None:
    css = assets()["console.css"].content.decode()
    body = css[css.index("*, *::before") :]
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b", body)
