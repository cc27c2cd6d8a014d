#!/usr/bin/env python
# A recipe as labs wrote them for the scripts that Galaxy shipped: a library for each group, a folder for each year in it.
from __future__ import print_function

import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
from common import get, submit

try:
    key = sys.argv[1]
    base = sys.argv[2]
    year = sys.argv[3]
    groups = sys.argv[4:]
    assert groups
except (IndexError, AssertionError):
    print('usage: %s key base_url year group [group ...]' % os.path.basename(sys.argv[0]))
    sys.exit(1)

there = dict((library['name'], library) for library in get(key, base + '/api/libraries'))
for group in groups:
    if group in there:
        print('%s: there already' % group)
        continue
    data = {'name': group, 'description': 'Data of ' + group, 'synopsis': ''}
    library = submit(key, base + '/api/libraries', data, return_formatted=False)
    contents = '%s/api/libraries/%s/contents' % (base, library['id'])
    root = [item for item in get(key, contents) if item['name'] == '/'][0]
    folder = {'folder_id': root['id'], 'name': year, 'create_type': 'folder', 'description': ''}
    made = submit(key, contents, folder, return_formatted=False)
    print('%s: %s' % (group, made[0]['name']))
