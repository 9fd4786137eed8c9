"""Money: spending, budgets, statements and prices."""
