"""`intarsia code index`, `who` and `conflicts` on a real repository."""

from __future__ import annotations

import pytest

from tests.support.sandbox import Sandbox

TOOLS = "def price(item, count):\n    return item * count\n"
USES = "from shop.tools import price\n\n\ndef main():\n    return price(1, 2)\n"


@pytest.fixture
def shop(sandbox: Sandbox) -> Sandbox:
    sandbox.commit("shop/__init__.py", "", "Begin")
    sandbox.commit("shop/tools.py", TOOLS, "Add tools")
    sandbox.commit("shop/main.py", "def main():\n    pass\n", "Add main")
    return sandbox


def branch(sandbox: Sandbox, name: str, path: str, text: str) -> None:
    sandbox.git("checkout", "--quiet", "-b", name, "main")
    sandbox.commit(path, text, name)
    sandbox.git("checkout", "--quiet", "main")


def test_the_index_follows_the_working_tree(shop: Sandbox) -> None:
    first = shop.json("code", "index")
    assert (first["files"], first["units"], first["read"]) == (3, 2, 3)
    assert shop.json("code", "index")["read"] == 0
    shop.write("shop/main.py", USES)
    assert shop.json("code", "index")["read"] == 1
    assert shop.json("code", "index", "--rebuild")["read"] == 3
    assert "3 files, 3 units" in shop.ok("code", "index")
    assert shop.git("status", "--porcelain") == "M shop/main.py"


def test_who_defines_and_mentions_a_name(shop: Sandbox) -> None:
    shop.write("shop/main.py", USES)
    found = shop.json("code", "who", "price")
    assert [each["uri"] for each in found["definitions"]] == ["code:shop/tools.py#price"]
    assert [(each["path"], each["key"], each["line"]) for each in found["mentions"]] == [
        ("shop/main.py", "import shop.tools", 1),
        ("shop/main.py", "main", 4),
    ]
    assert "defined    shop/tools.py:1  price" in shop.ok("code", "who", "price")
    (shop.root / "shop/main.py").unlink()
    assert shop.json("code", "who", "price")["mentions"] == []
    nobody = shop.call("code", "who", "nobody")
    assert nobody.returncode == 4
    assert "nobody" in nobody.stderr


def test_what_git_converts_is_read_from_git(shop: Sandbox) -> None:
    shop.commit(".gitattributes", "*.py text eol=crlf\n", "Windows")
    (shop.root / "shop/tools.py").unlink()
    shop.git("checkout", "--", "shop/tools.py")
    assert b"\r\n" in (shop.root / "shop/tools.py").read_bytes()
    assert [each["line"] for each in shop.json("code", "who", "price")["definitions"]] == [1]


def test_conflicts_of_two_branches(shop: Sandbox) -> None:
    branch(shop, "uses", "shop/main.py", USES)
    branch(shop, "changes", "shop/tools.py", TOOLS.replace("count)", "count, rate)", 1))
    branch(shop, "adds", "shop/other.py", "x = 1\n")
    done = shop.call("code", "conflicts", "main..uses", "main..changes")
    assert done.returncode == 1
    assert done.stdout.startswith("provable  arity  shop/main.py:5")
    assert "needs rate" in done.stdout
    (conflict,) = shop.json("code", "conflicts", "main..changes", "main..uses")["conflicts"]
    assert (conflict["user"], conflict["changer"], conflict["symbol"]) == ("uses", "changes", "price")
    nothing = shop.json("code", "conflicts", "main..uses", "main..adds")
    assert (nothing["ok"], nothing["provable"], nothing["conflicts"]) == (True, 0, [])


def test_conflicts_look_at_the_whole_base(shop: Sandbox) -> None:
    """A class that others derive from may be any of them: what they are stands in files that nobody changed."""
    box = "class Box:\n    def _add(self, by):\n        return by\n"
    shop.commit("shop/box.py", box, "Add a box")
    branch(shop, "uses", "shop/box.py", f"{box}\n    def grow(self):\n        return self._add(1)\n")
    branch(shop, "changes", "shop/box.py", box.replace("(self, by)", "(self, by, more)"))
    assert shop.call("code", "conflicts", "main..uses", "main..changes").returncode == 1
    shop.commit("shop/big.py", "from shop.box import Box\n\n\nclass Big(Box):\n    pass\n", "Derive")
    for name in ("uses", "changes"):
        shop.git("rebase", "--quiet", "main", name)
    shop.git("checkout", "--quiet", "main")
    assert shop.call("code", "conflicts", "main..uses", "main..changes").returncode == 0


def test_where_the_base_has_gone_on_counts_where_the_two_parted(shop: Sandbox) -> None:
    branch(shop, "uses", "shop/main.py", USES)
    branch(shop, "adds", "shop/other.py", "x = 1\n")
    shop.commit("shop/tools.py", "def cost():\n    pass\n", "Rename on main")
    found = shop.json("code", "conflicts", "main..uses", "main..adds")
    assert found["base"] == shop.git("rev-parse", "main~1")
    assert found["conflicts"] == []


@pytest.mark.parametrize(
    ("ranges", "code"),
    [(("main", "main..uses"), 2), (("main..nowhere", "main..main"), 4), (("main~1..main", "main..main"), 2)],
)
def test_ranges_that_make_no_sense(shop: Sandbox, ranges: tuple[str, str], code: int) -> None:
    done = shop.call("code", "conflicts", *ranges)
    assert done.returncode == code
    assert done.stderr.startswith("intarsia: ")
