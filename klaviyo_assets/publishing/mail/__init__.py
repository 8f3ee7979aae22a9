"""Mail: what people are told, and when.

Here: the daily digest mail and the incidents. Not here: how a mail is sent (`resources/mail/resource.py`).
"""
