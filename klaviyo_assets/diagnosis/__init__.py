"""What can be wrong with a deployment: every setting, permission, schema and index, checked one by one.

Here: the checks behind `klaviyo-assets doctor`, and what they find. Not here: how findings are shown
(`cli/doctor.py`), and fixing anything: a check says how to fix it, and changes nothing.
"""
