"""Administration: the organization, who may do what in it, and what was done."""
