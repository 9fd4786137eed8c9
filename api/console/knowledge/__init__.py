"""Knowledge: bases, their documents, and what a search finds in them."""
