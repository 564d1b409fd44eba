"""All randomness of a run comes from its seed through here."""

import hashlib


def derive(seed: int, *path: str | int) -> int:
    """Return a 32-bit seed for one purpose, such as ``derive(seed, "trial", 7)``."""
    text = "/".join(map(str, (seed, *path)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
