"""The `klaviyo-assets` command: one file per command group."""
