"""The asset checks that are steps of their own."""
