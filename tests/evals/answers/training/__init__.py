"""What the reader of answers has learned from, and the script that trains it."""
