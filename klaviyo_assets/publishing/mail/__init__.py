"""Mail: what is said to people, and when.

Here: the daily digest and the incidents. Not here: how a mail is sent (`resources/mail/resource.py`).
"""
