"""What stands in for a Galaxy server in the offline tests."""
KEY = "0123456789abcdef0123456789abcdef"    # a key of the shape that Galaxy makes
URL = "http://galaxy.test"                  # where requests-mock answers
API = f"{URL}/api"
