"""How much longer something may take while the machine has other work."""

import os


def patience(seconds: float) -> float:
    """Return `seconds`, or more of them where processes wait for cores: by the load of the last minute."""
    each = os.getloadavg()[0] / (os.cpu_count() or 1)
    return seconds * max(1.0, each / 2)
