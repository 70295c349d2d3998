"""A browser without a screen, as a program: $BROWSER calls it with the URL."""

import sys
import urllib.request

from support.issuer import final_url

if __name__ == "__main__":
    with urllib.request.urlopen(final_url(sys.argv[1]), timeout=20) as page:
        page.read()
