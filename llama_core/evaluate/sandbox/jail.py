"""The process that is started for a program: it makes the jail, watches over it, and says what came.

    python -m llama_core.evaluate.sandbox.jail PARENT  < job  > report

`job` and `report` are JSON, of the form that `programs` writes and reads. When this process returns, or is
killed, nothing of the program is left: it is the only one in the jail beside the jail's first process, and
the kernel ends them with it.
"""

import json
import os
import secrets
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from llama_core.evaluate.sandbox import confine, namespaces
from llama_core.evaluate.sandbox.confine import Limits

_PROGRAM, _REPORT = 3, 4  # descriptors of the process that runs the program
_TIMED_OUT = 124
_MOST_REPORTED = 500  # characters

# A program has passed when it has reached its end: one that ends itself before has not run its tests. It is
# run as the publisher of HumanEval does it, in an empty namespace. The word that says so is a random one, so
# that nothing that a program happens to write is taken for it.
RUNNER = f"""
def main():
    import os
    write, leave = os.write, os._exit
    with open({_PROGRAM}, "rb") as file:
        passed, _, program = file.read().partition(b"\\n")
    try:
        exec(compile(program, "<program>", "exec"), {{}})
        report = passed
    except BaseException as error:
        report = f"{{type(error).__name__}}: {{error}}"[:{_MOST_REPORTED}].encode("utf-8", "replace")
    write({_REPORT}, report)
    leave(0)
main()
"""
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": namespaces.SCRATCH,
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",  # the same program does the same again
    "PYTHONDONTWRITEBYTECODE": "1",
}


def main() -> None:
    """Run the job of the standard input, and write the report to the standard output."""
    parent = int(sys.argv[1])
    confine.die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the parent has ended")
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    job = json.load(sys.stdin.buffer)
    try:
        report = _run(job, Limits(*job["limits"]))
    except OSError as error:
        report = {"broken": _words(error).decode()}
    sys.stdout.write(json.dumps(report))


def _run(job: dict[str, Any], limits: Limits) -> dict[str, str]:
    passed = secrets.token_hex(16).encode()
    program = os.memfd_create("program")
    with open(os.dup(program), "wb") as file:
        file.write(passed + b"\n" + job["program"].encode())
    os.lseek(program, 0, os.SEEK_SET)
    nothing = os.open(os.devnull, os.O_RDONLY)
    output, into_output = os.pipe()
    reported, into_report = os.pipe()
    trouble, into_trouble = os.pipe()
    inside = {0: nothing, 1: into_output, 2: into_output, _PROGRAM: program, _REPORT: into_report}

    def become() -> None:
        _become(job["python"], limits, inside, into_trouble, changes=job["namespaces"])

    if job["namespaces"]:
        namespaces.enter()
        first = _fork(lambda: _first_process(job["trees"], limits, become), into_trouble)
    else:
        first = _fork(lambda: _without_namespaces(become), into_trouble)
    for descriptor in (nothing, into_output, into_report, into_trouble, program):
        os.close(descriptor)
    said = _watch(first, output, limits)
    if broken := os.read(trouble, 4 * _MOST_REPORTED):
        return {"broken": broken.decode(errors="replace")}
    os.set_blocking(reported, False)
    try:
        report = os.read(reported, 4 * _MOST_REPORTED)
    except BlockingIOError:
        report = b""
    if report == passed and not said:
        return {"passed": ""}
    return {"failed": said or report.decode(errors="replace") or "it ended itself before its end"}


def _watch(first: int, output: int, limits: Limits) -> str:
    """Wait until the jail's first process has ended, and return what there is to say of its end.

    It is killed when the time is over, and where more is written than is allowed. When it has been waited
    for, all processes of its namespace are gone.
    """
    os.set_blocking(output, False)
    watched = select.poll()
    watched.register(end := os.pidfd_open(first), select.POLLIN)
    watched.register(output, select.POLLIN)
    until, room, said = time.monotonic() + limits.seconds, limits.output, ""
    while not said:
        ready = dict(watched.poll(max(0, until - time.monotonic()) * 1000))
        got = len(os.read(output, 1 << 20)) if output in ready else 0  # a pipe holds less
        room -= got
        if room < 0:
            said = f"it wrote more than {limits.output:,} bytes"
        elif output in ready and not got:
            watched.unregister(output)
        elif output not in ready and end in ready:
            break
        elif time.monotonic() >= until:
            said = "it timed out"
    signal.pidfd_send_signal(end, signal.SIGKILL)
    code = _wait(first, limits)
    if not said and code > 128:
        said = f"it was ended by signal {code - 128}"
    return "it timed out" if not said and code == _TIMED_OUT else said


def _wait(process: int, limits: Limits) -> int:
    """Wait for a process, and return its exit code as a shell does, or _TIMED_OUT."""
    _, status, usage = os.wait4(process, 0)
    code = os.waitstatus_to_exitcode(status)
    used = usage.ru_utime + usage.ru_stime
    if code == -signal.SIGXCPU or (code == -signal.SIGKILL and used >= limits.cpu_seconds):
        return _TIMED_OUT
    return 128 - code if code < 0 else code


def _fork(work: Callable[[], None], trouble: int) -> int:
    """Return the number of a new process that does `work` and ends, and that dies with this one.

    An error of the work is written to `trouble`.
    """
    parent = os.pidfd_open(os.getpid())
    child = os.fork()
    if child:
        os.close(parent)
        return child
    try:
        confine.die_with_parent(signal.SIGKILL)
        if not select.select([parent], [], [], 0)[0]:  # else it has ended before
            work()
    except BaseException as error:
        os.write(trouble, _words(error))
    os._exit(1)


def _first_process(trees: list[str], limits: Limits, become: Callable[[], None]) -> None:
    """Be the first process of the namespaces: make the root, start the program, and end all with its end."""
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # where the machine's memory ends, this goes first
    os.setsid()
    namespaces.build_root(trees, limits)
    namespaces.become_nobody()
    confine.die_with_parent(signal.SIGKILL)
    confine.no_new_privileges()
    child = os.fork()
    if child == 0:
        become()
    os._exit(_wait(child, limits))


def _without_namespaces(become: Callable[[], None]) -> None:
    os.setsid()
    os.chdir("/")
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(*[namespaces.NOBODY] * 3)
        os.setresuid(*[namespaces.NOBODY] * 3)
        confine.die_with_parent(signal.SIGKILL)
    become()


def _become(python: str, limits: Limits, inside: dict[int, int], trouble: int, changes: bool) -> None:
    """Become the program. Where that is an error, write it to `trouble` and end."""
    try:
        high = [os.dup2(old, 100 + new, inheritable=False) for new, old in inside.items()]
        trouble = os.dup2(trouble, 200, inheritable=False)
        for new, old in zip(inside, high):
            os.dup2(old, new, inheritable=True)
        confine.no_new_privileges()
        confine.limit(limits)
        confine.refuse_calls(changes)
        os.execve(python, [python, "-s", "-S", "-P", "-B", "-c", RUNNER], ENVIRONMENT)
    except BaseException as error:
        os.write(trouble, _words(error))
    os._exit(1)


def _words(error: BaseException) -> bytes:
    return str(getattr(error, "strerror", None) or repr(error)).encode()


if __name__ == "__main__":
    main()
