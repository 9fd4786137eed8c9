"""How long things are kept: whose clock says what, and taking away what is past it."""
