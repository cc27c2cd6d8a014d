#!/usr/bin/env python
# A recipe of the old kind: run a workflow on one dataset, look until its history is at rest, tag that history.
from __future__ import print_function

import os
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))
from common import get, post, put


def main():
    try:
        key, base, workflow_id, dataset_id = sys.argv[1:5]
    except ValueError:
        print('usage: %s key base_url workflow_id dataset_id' % os.path.basename(sys.argv[0]))
        return 1
    history = post(key, base + '/api/histories', {'name': 'Report of ' + dataset_id})
    inputs = {'0': {'src': 'hda', 'id': dataset_id}}
    run = post(key, '%s/api/workflows/%s/invocations' % (base, workflow_id),
               {'history': 'hist_id=' + history['id'], 'inputs': inputs, 'inputs_by': 'step_index'})
    jobs = '%s/api/invocations/%s/jobs_summary' % (base, run['id'])
    while True:
        states = get(key, jobs)['states']
        if states and not set(states) - set(['ok', 'error']) and sum(states.values()) == 4:
            break
        time.sleep(1)
    put(key, base + '/api/histories/' + history['id'], {'tags': ['done' if 'error' not in states else 'failed']})
    print(history['id'], states)


if __name__ == '__main__':
    sys.exit(main())
