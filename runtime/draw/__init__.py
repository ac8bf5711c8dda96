"""From a prompt, or a prompt and a picture, to pictures."""
