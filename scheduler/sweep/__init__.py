"""From a sweep file to queued trials."""
