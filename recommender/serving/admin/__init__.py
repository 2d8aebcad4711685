"""Pages for editors and operators, who sign in with a key: what the lists do, and rules against it."""
