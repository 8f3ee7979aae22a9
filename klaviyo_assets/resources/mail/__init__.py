"""Mail: settings, and the two ways out, SMTP and SES."""
