"""What the injection detector has learned from, and the script that trains it."""

from pathlib import Path

FOLDER = Path(__file__).parent
