"""How anything outside of this process is reached: within time limits, and with a request repeated only where that is
safe.
"""
