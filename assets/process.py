"""Steps as processes: they die with their parent, and the heavy ones take turns."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from storage.home import Home


def die_with_parent(poll_seconds: float = 0.5) -> None:
    """End this process, at once and without clean-up, when the process that started it is gone.

    Dagster's step processes outlive a killed run worker and would keep the GPU. What
    :mod:`multiprocessing` started waits for the process that asked for it: with a fork server,
    which lives as long as any child, that is not the one the operating system calls its parent.
    Anything else watches its parent's process id, which works on every Unix.
    """
    asked = multiprocessing.parent_process()
    parent = os.getppid()

    def watch() -> None:
        if asked is not None:
            asked.join()
        else:
            while os.getppid() == parent:
                time.sleep(poll_seconds)
        os._exit(137)

    threading.Thread(target=watch, name="die-with-parent", daemon=True).start()


def this_process() -> str:
    """Names this process; the time of its start tells it from a later one of the same number."""
    return process_name(os.getpid())


def process_name(pid: int) -> str:
    """Names a running process, as :func:`this_process` does.

    Raises:
        psutil.NoSuchProcess: There is none of this number.
    """
    import psutil

    return f"{pid}-{psutil.Process(pid).create_time():.0f}"


def alive(process: str) -> bool:
    """Whether a named process still runs."""
    import psutil

    pid = int(process.partition("-")[0])
    try:
        running = psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        return running and process_name(pid) == process
    except psutil.NoSuchProcess:
        return False


@contextmanager
def turn(home: Home, heavy: bool, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the machine for a heavy step; light ones pass.

    The lock is the operating system's and goes with its holder, however that ends.
    """
    if not heavy:
        yield
        return
    home.root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home.root / "heavy.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say("waiting for another heavy step on this machine to finish")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
