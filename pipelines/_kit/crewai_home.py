"""Imports CrewAI without prompts, telemetry, or files outside a folder of this process.

On import it creates a key for its accounts below the user's home, which is not writable in a container.
"""

import os

from core.kit.scratch import process_folder

# Before the import: otherwise CrewAI checks its version and sends telemetry, and waits for both.
os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")
os.environ.setdefault("CREWAI_DISABLE_TRACKING", "true")
os.environ.setdefault("CREWAI_TRACING_ENABLED", "false")
os.environ.setdefault("CREWAI_DISABLE_VERSION_CHECK", "true")
# An absolute path also keeps CrewAI from naming a folder in the user's data directory after the working directory.
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
