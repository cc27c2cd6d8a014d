"""What a process learns of Galaxy while it runs, which another one, after a kill, does not know."""
from galaxy_api_scripts.datasets import target_history
from galaxy_api_scripts.invocations import invocation


def forget():
    for known in (target_history.new_histories, invocation.sole_invocations, invocation.known_pauses):
        known.clear()
