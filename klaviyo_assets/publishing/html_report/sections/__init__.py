"""The parts of an account's page: what each shows, one file per part. Not here: statements and looks."""
