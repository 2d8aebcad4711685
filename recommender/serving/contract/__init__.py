"""The contract as a document: every call, what it takes and all it may answer, in OpenAPI 3.1."""
