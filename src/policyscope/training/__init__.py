"""Training the documents' agents, and watching any network while it is trained."""
