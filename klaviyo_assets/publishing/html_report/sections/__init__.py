"""The parts of an account's page: what each shows, one file per part.

Here: nothing. Not here: statements (`questions.py`), and how figures look (`page.html.j2`).
"""
