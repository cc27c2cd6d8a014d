#!/usr/bin/env python
# A recipe of the old kind: display.py and create.py lie beside it, and its own keys.py, jobs.py and tools.py do too.
from __future__ import print_function

import os
import subprocess
import sys

import common
import jobs
import keys
import tools

here = os.path.dirname(os.path.abspath(__file__))
key, url, name = sys.argv[1:4]
common.log.info('not shown')
assert (keys.MINE, jobs.MINE, tools.MINE) == ('keys', 'jobs', 'tools')
subprocess.check_call([sys.executable, os.path.join(here, 'create.py'), key, url, 'name=' + name])
subprocess.check_call([sys.executable, os.path.join(here, 'display.py'), key, url])
