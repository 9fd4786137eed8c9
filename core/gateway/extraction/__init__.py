"""How ``local/extractive`` reads: sentences, words and their ranking."""
