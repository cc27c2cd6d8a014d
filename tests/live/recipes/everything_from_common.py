#!/usr/bin/env python
# A recipe of the old kind: all names from common, those too that it only imported itself.
from __future__ import print_function

import sys

from common import *

key, base, name = sys.argv[1:4]
log.warning('looking for %s', name)
found = json.loads(urlopen(Request(make_url(key, base + '/api/histories', [('q', 'name-eq'), ('qv', 'quoted%20name')]))).read())
print(len(found), urlencode([('a', 'b c')]))
try:
    get(key, base + '/api/histories/0123456789abcdef')
except HTTPError as e:
    print(e.code, e.reason, json.loads(e.read().decode())['err_code'])
for ask, arguments in ((post, ({},)), (put, ({},)), (get, ())):
    try:
        ask(key, 'http://127.0.0.1:9/api/histories', *arguments)
    except URLError as e:
        print('down' if e.reason else '?')
print(submit(key, base + '/api/histories', {'name': name}, return_formatted=False)['name'])
