"""The page is one file that lets nothing in from outside."""

import re
from importlib.resources import files

from policyscope.viewer.page import PARTS, block, page, policy, script


def test_every_part_of_the_client_is_joined_and_none_imports_another():
    there = {
        file.name.removesuffix(".js")
        for file in files("policyscope.viewer").joinpath("client").iterdir()
        if file.name.endswith(".js")
    }
    assert there == set(PARTS)
    assert not re.search(r"^import ", script(), re.MULTILINE)
    assert len(re.findall(r"^export ", script(), re.MULTILINE)) == 1


def test_the_policy_allows_this_script_alone():
    assert policy("'none'").startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy("'self'")
    assert "http" not in policy("'self'")


def test_data_cannot_leave_its_block():
    text = block("manifest", {"title": "</script><script>alert(1)</script>"})
    assert text.count("</script>") == 1
    assert "<title>&lt;b&gt;</title>" in page("<b>", "file")
