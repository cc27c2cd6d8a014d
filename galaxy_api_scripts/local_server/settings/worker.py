"""Galaxy's Celery worker, warmed up before it reports for work: else the first job waits 15 seconds more.

galaxy_local.py runs this with Galaxy's own Python, and waits for the line that it prints.
"""
from celery.signals import worker_ready
from galaxy.celery import build_app, celery_app
from kombu.transport.sqlalchemy import Transport

THREADS = 2
Transport.polling_interval = 0.2  # seconds; the transport options, where it belongs, refuse it with SQLAlchemy


@worker_ready.connect
def warm_up(**_):
    build_app()
    for import_galaxy in [celery_app.fork_pool.schedule(abs, args=(1,)) for _ in range(THREADS)]:
        import_galaxy.result()
    print("the worker is warm", flush=True)


if __name__ == "__main__":
    celery_app.worker_main(["worker", "--loglevel=INFO", "--pool=threads", f"--concurrency={THREADS}",
                            "--queues=celery,galaxy.internal,galaxy.external", "--without-gossip", "--without-mingle"])
