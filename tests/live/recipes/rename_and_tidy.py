#!/usr/bin/env python
# A recipe of the old kind: histories whose names begin with a prefix get a new name, and empty ones are deleted.
from __future__ import print_function

import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
from common import delete, display, get, make_url, update

if len(sys.argv) != 5:
    print('usage: %s key url prefix new_prefix' % os.path.basename(sys.argv[0]))
    sys.exit(1)
key, url, prefix, new_prefix = sys.argv[1:]

for history in get(key, make_url(key, url, [('q', 'deleted-eq'), ('qv', 'False')])):
    if not history['name'].startswith(prefix):
        continue
    member = url + '/' + history['id']
    if not display(key, member + '/contents', return_formatted=False):
        delete(key, member, {'purge': True})
    else:
        update(key, member, {'name': new_prefix + history['name'][len(prefix):]})
display(key, url)
