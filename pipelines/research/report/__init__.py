"""The report: put together from what passed the check, as Markdown and as PDF."""
