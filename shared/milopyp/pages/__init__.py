"""What pages in the browser share: planes through a tomogram with what is marked on them, and how they look."""
