"""Whether the numbers are right, complete and usual: everything that checks and changes nothing."""
