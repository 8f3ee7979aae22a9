"""Are the numbers right, complete, fresh and usual: everything that checks and changes nothing."""
