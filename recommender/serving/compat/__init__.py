"""The endpoints and JSON formats of other services, for sites that switch to this one."""
