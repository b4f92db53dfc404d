"""Names from users' files as ids, file names and links."""

import hashlib
import re


def slug(name: str) -> str:
    """The name where it is plain; else its plain part and a hash, so that two names never meet."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
