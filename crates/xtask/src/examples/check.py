"""The snippet of the book against a live server: a good token passes, and nothing else does."""

import os

import jwt
from verify import may, verify

good, other = os.environ["GOOD"], os.environ["OTHER"]
claims = verify(good)
assert claims["client_id"] == "orders", claims
assert may(claims, "orders:read") and not may(claims, "orders:write") and not may({}, "orders:read")
header, payload, signature = good.split(".")
middle = other.split(".")[1]
for bad in [other, f"{header}.{middle}.{signature}", f"{header}.{payload}.", "nothing", ""]:
    try:
        verify(bad)
    except jwt.PyJWTError:
        continue
    raise AssertionError(f"accepted: {bad}")
