"""Draw pictures from a prompt, or from a prompt and a picture."""
