"""What stands in for a Galaxy server in the offline tests.

`galaxy.FakeGalaxy` is the one that holds things and changes them; faults are plugged into it. Where a test is of one request
and its answer (what exactly is sent, how a state of Galaxy's is told), requests-mock gives that answer: it shows in the test
and needs no Galaxy that could get there, as with `run_answers` for invocations of any shape.
"""
KEY = "0123456789abcdef0123456789abcdef"    # a key of the shape that Galaxy makes
URL = "http://galaxy.test"                  # where requests-mock answers
API = f"{URL}/api"
