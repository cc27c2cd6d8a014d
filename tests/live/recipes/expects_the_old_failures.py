#!/usr/bin/env python
# A recipe of the old kind that relies on what is different now: docs/legacy.md names the line to change for each.
from __future__ import print_function

import sys

import common

key, url, difference = sys.argv[1:4]
if difference == 'text':
    if common.submit(key, url, {'name': 'x'}, return_formatted=False).startswith('Error.'):
        print('not made')
if difference == 'exit':
    try:
        common.display(key, url)
    except SystemExit:
        print('nothing there')
if difference == 'nobody':
    print(len(common.get('', url)))
