"""What gunicorn needs of ours, and what its workers share."""
