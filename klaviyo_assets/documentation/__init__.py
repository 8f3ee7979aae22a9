"""The pages of `docs/` that are generated from the code, one module each.

Here: their text. Not here: prose about the product, which is written by hand. `python -m klaviyo_assets.documentation`
writes every page again, and `reports/lineage.json` with them.
"""
