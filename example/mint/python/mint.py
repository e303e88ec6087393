"""Prints a one-time download link: python3 mint.py https://example.com/report.pdf

DOWNLOAD_SECRET is the secret, as text or as base64:... and the encoded bytes.
"""

import base64
import os
import sys
import time
import uuid
from urllib.parse import urlsplit

import jwt  # PyJWT

TTL = 600


def secret() -> bytes:
    text = os.environ.get("DOWNLOAD_SECRET")
    if not text:
        sys.exit("DOWNLOAD_SECRET is not set")
    if text.startswith("base64:"):
        return base64.b64decode(text.removeprefix("base64:"))
    return text.encode()


def link(address: str) -> str:
    now = time.time()
    claims = {
        "scope": "download:" + urlsplit(address).path,  # percent-encoded, as in the address
        "jti": str(uuid.uuid4()),
        "iat": round(now, 3),
        "exp": int(now) + TTL,
    }
    return address + "?download_token=" + jwt.encode(claims, secret(), algorithm="HS256")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python3 mint.py <address>")
    print(link(sys.argv[1]))
