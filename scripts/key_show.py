#!/usr/bin/env python3
"""Show your API key, asked for with your e-mail address and password.

Usage:
  key_show.py [options] URL EMAIL

Arguments:
  URL         the server, or - for $GALAXY_URL
  EMAIL       the address that you log in with

Options:
  -h, --help  show this help
  --version   show the version

The password is asked for without showing it, or read from standard input where that is no terminal. Galaxy makes a key
for those who have none yet. To keep it where the other scripts look it up, out of the list of processes:
  (umask 077; key_show.py https://usegalaxy.org me@example.org > ~/.galaxy.key)
  export GALAXY_URL=https://usegalaxy.org GALAXY_API_KEY_FILE=~/.galaxy.key
"""
import getpass
import re
import sys

from common import USAGE, Galaxy, GalaxyError, arguments, read_text, redact, register_secret, run


def main(argv=None):
    args = arguments(__doc__, argv)
    galaxy, email = Galaxy("anonymous", args["URL"]), args["EMAIL"]
    try:
        if sys.stdin and sys.stdin.isatty():
            password = getpass.getpass(redact(f"Password of {email} at {galaxy.base}: "))
        else:
            password = read_text("-").partition("\n")[0].rstrip("\r")
    except EOFError:
        password = ""
    if not password:
        raise GalaxyError("no password was given", USAGE)
    register_secret(password)

    # Basic authentication in UTF-8, as Galaxy reads it; requests would send a str in Latin-1.
    key = galaxy.get("authenticate/baseauth", auth=(email.encode(), password.encode()))["api_key"]
    if not isinstance(key, str) or not re.fullmatch("[!-~]{8,}", key):
        raise GalaxyError(f"{galaxy.base} answered without a key: is it a Galaxy?")
    print(key)


if __name__ == "__main__":
    sys.exit(run(main))
