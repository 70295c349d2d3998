"""Where mail lies. `api` says what a store is; every other module here is one."""
