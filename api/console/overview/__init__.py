"""How jobs are doing: what waits, how much is done, how fast, and what fails."""
