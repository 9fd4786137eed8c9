"""Draws and speaks the samples of this folder: ``python docs/examples/multimodal/make.py`` from the repository's root.

Needs the packages of ``make setup`` and, for the recording, espeak-ng (``apt install espeak-ng``).
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2]))

from tests.factories.paper import Bill, draw_columns, draw_receipt, say  # noqa: E402 - the root has to be found first

RECEIPT = Bill(
    "Harbour Bakery",
    "R-20871",
    "14 March 2026",
    (("Rye bread", 1, "4.20"), ("Cinnamon bun", 3, "8.40"), ("Filter coffee", 2, "6.00")),
    "18.60",
    "1.30",
    "19.90",
)
LEFT = (
    "The night depot in Gdynia opened in",
    "February 2026. It sorts parcels for",
    "eleven districts, and it replaces the",
    "old hall in Sopot, which closed at",
    "the end of January after forty years.",
    "The new hall employs 64 people.",
)
RIGHT = (
    "Parcels above thirty kilograms are",
    "refused at the counter. They go by",
    "freight instead, which costs more",
    "and takes two working days longer.",
    "A claim for damage must be filed",
    "within fourteen days of delivery.",
)
TABLE = (
    ("Month", "Parcels", "Late", "Claims"),
    (("January", "18240", "312", "41"), ("February", "20115", "280", "36"), ("March", "23980", "251", "29")),
)
SENTENCE = "The parcel arrives on Thursday morning. Please call the office before nine o'clock."


def main() -> None:
    """Write all three."""
    draw_receipt(RECEIPT, HERE / "receipt.png")
    draw_columns("Depot bulletin", LEFT, RIGHT, HERE / "bulletin.pdf", TABLE)
    say(SENTENCE, HERE / "message.ogg")


if __name__ == "__main__":
    main()
