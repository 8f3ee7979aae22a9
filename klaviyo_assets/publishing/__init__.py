"""What people read: the HTML report, mails and charts."""
