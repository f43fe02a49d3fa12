"""What the page reads from the artifact store: prepared ratings and models; cached, never unpickled."""
