"""Data retention: the retention periods that apply, and the removal of data past them."""
