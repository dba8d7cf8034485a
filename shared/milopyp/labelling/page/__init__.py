"""What the browser gets: the page of ``milopyp label`` as files."""
