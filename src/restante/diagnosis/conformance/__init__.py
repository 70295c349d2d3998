"""`pop3 verify`: whether a server, anybody's, does what the RFCs want."""
