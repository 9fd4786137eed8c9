import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, signal, threading
from core.kit.termination import on_termination

asked = threading.Semaphore(0)
over = threading.Event()

def stop():
    over.set()
    asked.release()

on_termination(stop)
with over._cond:
    # What a handler would interrupt inside `wait`, or inside `set` for the signal before.
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    assert not over.is_set()
assert asked.acquire(timeout=10) and asked.acquire(timeout=10)
assert over.is_set()
"""


def test_signals_while_the_lock_of_the_event_is_held_are_obeyed_afterwards() -> None:
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", SCRIPT], cwd=root, check=True, timeout=30)
