"""Tools of a company's own systems: attached by the operator's file, called under limits, audited, called once."""
