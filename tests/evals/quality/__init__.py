"""How soon worse answers are found, and how often calm ones raise an alarm."""
