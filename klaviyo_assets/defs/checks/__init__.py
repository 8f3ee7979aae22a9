"""The asset checks that have steps of their own."""
