"""The report: composed of the claims that passed the check, as Markdown and as PDF."""
