from typing import Any

REVISION = 5
# A small model repeats itself where the most likely token is always taken.
SAMPLING: Any = {"temperature": 0.8, "top_p": 0.95, "seed": 1}
