"""Klaviyo's reporting API: settings, client, quota."""
