"""Other services' URLs and JSON, for sites that switch to this one."""
