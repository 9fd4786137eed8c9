"""Imports CrewAI so that it asks nobody, reports to nobody, and keeps nothing outside a folder of this process.

While it is imported it makes a key for its accounts below the user's home, which in a container nobody may write to.
"""

import os

from core.kit.scratch import process_folder

# Before the import: otherwise it asks for its version and reports to its makers, and waits for both.
os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")
os.environ.setdefault("CREWAI_DISABLE_TRACKING", "true")
os.environ.setdefault("CREWAI_TRACING_ENABLED", "false")
os.environ.setdefault("CREWAI_DISABLE_VERSION_CHECK", "true")
# An absolute path also keeps it from naming a folder in the user's data directory after the working directory.
os.environ["CREWAI_STORAGE_DIR"] = str(process_folder() / "crewai")

_home = os.environ.get("HOME")
os.environ["HOME"] = str(process_folder())
try:
    import crewai  # noqa: F401
finally:
    if _home is None:
        del os.environ["HOME"]
    else:
        os.environ["HOME"] = _home
