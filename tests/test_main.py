"""How a program ends."""

import subprocess
import sys

ENDS = """
import atexit, threading, time
from llama_core.exit import leave
atexit.register(print, "told at the end")
threading.Thread(target=lambda: (time.sleep(0.5), print("a thread has finished"))).start()
leave(3, exit_functions=True)
"""


def test_a_run_ends_with_its_own_code_when_its_threads_and_exit_handlers_have_finished() -> None:
    done = subprocess.run([sys.executable, "-c", ENDS], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (3, "a thread has finished\ntold at the end\n"), done.stderr
