"""The accounts of a server, their groups and their quotas, as an administrator keeps them."""
