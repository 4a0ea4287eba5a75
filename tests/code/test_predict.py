"""What a task's text is about."""

from __future__ import annotations

import pytest

from intarsia.code.index import Index
from intarsia.code.predict import named, predicted

FILES = {
    "src/shop/cart.py": b"class Cart:\n    def add_item(self, item):\n        pass\n\n    def total(self): ...\n",
    "src/shop/price.py": b"def total_price(cart):\n    return cart.total()\n\n\ndef run():\n    pass\n",
    "src/shop/tax.py": b"def run():\n    pass\n\n\ndef rate():\n    pass\n",
    "tests/test_cart.py": b"class TestCart:\n    def test_total(self):\n        pass\n",
    "docs/cart.md": b"# Cart\n",
    "README.md": b"hello\n",
}
CART, PRICE = "code:src/shop/cart.py", "code:src/shop/price.py"


@pytest.fixture(scope="module")
def index() -> Index:
    made = Index(None)
    made.refresh([(path, str(number)) for number, path in enumerate(FILES)], FILES.get)
    return made


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Make `Cart.total` quick.", {f"{CART}#Cart.total"}),
        ("Make Cart.total quick.", {f"{CART}#Cart.total"}),
        ("The method Cart::total is slow.", {f"{CART}#Cart.total"}),
        ("total_price rounds wrongly", {f"{PRICE}#total_price"}),
        ("call rate() once", {"code:src/shop/tax.py#rate"}),
        ("the rate is wrong, and the total too", set()),
        ("`rate` is wrong", {"code:src/shop/tax.py#rate"}),
        ("shop.price.total_price is slow", {f"{PRICE}#total_price"}),
        ("Split src/shop/cart.py.", {CART}),
        ("Split (./src/shop/cart.py), please", {CART}),
        ("cart.py is too long", {CART}),
        ("`run` in src/shop/tax.py hangs", {"code:src/shop/tax.py#run"}),
        ("Fix src/shop/cart.py:5", {f"{CART}#Cart.total"}),
        ("Fix tests/test_cart.py::TestCart::test_total", {"code:tests/test_cart.py#TestCart.test_total"}),
        ("Add `Cart.remove_item`", {f"{CART}#Cart.remove_item"}),
        ("Write src/shop/refund.py", {"code:src/shop/refund.py"}),
        ("Write nowhere/refund.py, and be done by 24/12", set()),
        ("As in https://example.org/src/shop/cart.py", set()),
        ("```\ntotal_price(1)\n```\nfails", set()),
        ("Update docs/cart.md and README.md", {"code:docs/cart.md", "code:README.md"}),
        ("e.g. this, i.e. that; version 1.2.3; a/b; and/or", set()),
        ("", set()),
    ],
)
def test_what_a_text_names(index: Index, text: str, expected: set[str]) -> None:
    assert {each.uri for each in named(index, text)} == expected


def test_claims_come_first_and_everything_has_a_reason(index: Index) -> None:
    found = predicted(index, "Make Cart.total quick in cart.py", [f"{CART}#Cart.total", "issue:7"])
    assert found == {f"{CART}#Cart.total": "claimed", "issue:7": "claimed"}
    assert predicted(index, "rate()") == {"code:src/shop/tax.py#rate": "names rate"}
    assert predicted(index, "add `Cart.clear`") == {f"{CART}#Cart.clear": "names Cart.clear, which is not there yet"}


def test_a_name_that_is_defined_all_over_names_nothing() -> None:
    index = Index(None)
    files = {f"a{number}.py": b"def set_up():\n    return %d\n" % number for number in range(9)}
    index.refresh([(path, path) for path in files], files.get)
    assert named(index, "Fix `set_up` and set_up()") == []
    assert [each.uri for each in named(index, "Fix set_up() in a3.py")] == ["code:a3.py#set_up"]
