"""How ``local/extractive`` reads text: sentences, words and their ranking."""
