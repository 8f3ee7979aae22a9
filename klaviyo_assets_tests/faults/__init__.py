"""Faults of a network, made on purpose in front of real servers.

Here: a TCP proxy that falls silent, resets, closes or slows a connection (`connection_faults.py`), an HTTP proxy that
does the same to chosen requests or answers them itself (`http_faults.py`), certificates that are wrong in a chosen way
(`certificates.py`), and the matrix of faults and systems (`matrix.py`). Not here: what a system does about a fault.
"""
