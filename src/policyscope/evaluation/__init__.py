"""Numbers for what is said of saliency: whether maps show what matters, are stable, and come from the network."""
