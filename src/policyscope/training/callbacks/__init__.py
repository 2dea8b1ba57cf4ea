"""Saliency while other people's trainers train: a file a library."""
