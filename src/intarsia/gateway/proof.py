"""How a gateway proves that it is one, before it is told a secret: another program may have its port by now.

The client sends a number that nobody can foresee. Who knows the hash of the client's secret, as the database does, can
make the answer from it; it holds for one address, so what another gateway answers there is worth nothing here.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated

from msgspec import Meta

from intarsia.gateway.operation import Answer, Given, Text
from intarsia.kernel import sessions

PATH = "/v1/prove"

Address = tuple[str, int]


class Challenge(Given):
    name: Annotated[Text, Meta(description="Of a session or member.")]
    nonce: Annotated[str, Meta(pattern="^[0-9a-f]{32,128}$", description="A random number, made for this.")]


class Proof(Answer):
    proof: str


def made(digest: str, nonce: str, address: Address) -> str:
    """`digest` is the hash of a secret; `address` is that of the server's end of the connection."""
    host, port = address
    return hmac.new(digest.encode(), f"intarsia gateway {nonce} {host} {port}".encode(), hashlib.sha256).hexdigest()


def holds(proof: object, secret: str, nonce: str, address: Address) -> bool:
    expected = made(sessions.digest(secret), nonce, address)
    return isinstance(proof, str) and hmac.compare_digest(proof.encode(), expected.encode())
