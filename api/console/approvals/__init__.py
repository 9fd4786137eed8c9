"""Approvals: the questions that jobs ask people."""
