#!/usr/bin/env python3
"""A Galaxy as production has it, for the live tests: on PostgreSQL, behind nginx, with two web processes and two disks.

Usage:
  production.py [options] (start | stop | run COMMAND...)

Commands:
  start         start it, after stopping what an earlier one has left running; it has the installation of the ordinary
                local Galaxy, which is installed first if need be
  stop          stop it; its data stays
  run COMMAND   start it, run a command with $GALAXY_LOCAL_HOME set to its folder, and stop it, however the command ended

Options:
  --home=DIR    the folder of all its files; without it .galaxy-production in the checkout
  --port=N      nginx's; Galaxy's is one higher  [default: 8300]
  -h, --help    show this help
  --version     show the version

The live tests on it (in a command of its own, -- ends the options):
  tests/live/production.py run -- .venv/bin/python -m pytest tests/live
"""
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fakes.proxies import program  # noqa: E402

from common import DONE, FAILED, GalaxyError, arguments, eprint, int_option, run  # noqa: E402
from galaxy_api_scripts.local_server.home import LOCK  # noqa: E402
from galaxy_api_scripts.local_server.processes import process_works_in  # noqa: E402

LOCAL = [sys.executable, str(ROOT / "scripts" / "galaxy_local.py")]

# As Galaxy's instructions for nginx have it, with nginx's own time limits and what institutes often limit bodies to.
NGINX = """
user {user};
worker_processes 2;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    gzip on;
    gzip_proxied any;
    gzip_types text/plain text/css application/json application/javascript application/xml;
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 1g;
        client_body_timeout 60s;
        proxy_request_buffering on;
        proxy_buffering on;
        proxy_connect_timeout 60s;
        proxy_send_timeout 60s;
        proxy_read_timeout 60s;
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
        }}
        location /_x_accel_redirect/ {{
            internal;
            alias /;
        }}
    }}
}}
"""


def main(argv=None):
    args = arguments(__doc__, argv)
    home, port = Path(args["--home"] or ROOT / ".galaxy-production").resolve(), int_option(args, "--port", 1)
    if args["start"]:
        start(home, port)
    elif args["stop"]:
        stop(home)
    else:
        try:
            start(home, port)
            ended = subprocess.run(args["COMMAND"], env={**os.environ, "GALAXY_LOCAL_HOME": str(home)}, check=False)
        finally:
            stop(home)
        return ended.returncode if ended.returncode >= 0 else 128 - ended.returncode
    return DONE


def start(home, port):
    missing = [package for package, path in (("nginx", program("nginx")), ("postgresql", postgres("pg_ctl"))) if not path]
    if missing:
        raise GalaxyError(f"not installed: apt-get install --no-install-recommends {' '.join(missing)}", FAILED)
    stop(home)
    home.mkdir(mode=0o711, exist_ok=True)
    home.chmod(0o711)       # PostgreSQL, which refuses to run as root, must get through
    (home / LOCK).touch()
    extend_installation(home)
    try:
        database = start_database(home)
        start_nginx(home, port)
        local("start", "--with-toolshed", f"--port={port + 1}", "--processes=2", f"--home={home}",
              *(f"--set={name}={value}" for name, value in settings(home, port, database).items()))
    except BaseException:
        stop(home)
        raise
    eprint(f"as production has it: http://127.0.0.1:{port}")


def stop(home):
    if (home / LOCK).exists():
        try:
            local("stop", f"--home={home}")
        finally:
            stop_nginx(home)
            stop_database(home)


def local(*line):
    """What galaxy_local.py prints."""
    ended = subprocess.run([*LOCAL, *line], env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True,
                           check=False)
    if ended.returncode and line[0] != "status":
        raise GalaxyError(f"`galaxy_local.py {line[0]}` failed with status {ended.returncode}", FAILED)
    return ended.stdout


def settings(home, port, database):
    """What differs from galaxy_local.py's own galaxy.yml, as YAML or JSON."""
    disks = [{"id": name, "name": name, "type": "disk", "store_by": "uuid", "weight": 1, "files_dir": f"{home}/data/{name}",
              "extra_dirs": [{"type": "job_work", "path": f"{home}/data/{name}_jobs"}]} for name in ("old_disk", "new_disk")]
    celery = {"broker_url": f"sqla+postgresql://{database}", "result_backend": f"db+postgresql://{database}",
              "task_routes": {"galaxy.fetch_data": "galaxy.external", "galaxy.set_job_metadata": "galaxy.external"}}
    return {
        "database_connection": f"postgresql://{database}",
        "celery_conf": json.dumps(celery),
        "object_store_config": json.dumps({"type": "distributed", "backends": disks}),
        "galaxy_infrastructure_url": f"http://127.0.0.1:{port}",
        "nginx_x_accel_redirect_base": "/_x_accel_redirect",
    }


def extend_installation(home):
    """Give the home an environment with all that the ordinary home's has, and Galaxy's driver for PostgreSQL."""
    local("install", "--with-toolshed")
    venv, base = home / "venv", Path(re.search(r"^home +(.+)$", local("status"), re.MULTILINE).group(1)) / "venv"
    marks = {name: (base / name).read_text() for name in ("complete", "toolshed")}
    packages, = base.glob("lib/python*/site-packages")
    if all((venv / name).exists() and (venv / name).read_text() == release for name, release in marks.items()):
        return
    eprint(f"making {venv}")
    shutil.rmtree(venv, ignore_errors=True)
    subprocess.run([base / "bin" / "python", "-m", "venv", venv], check=True)
    own = venv / packages.relative_to(base)
    own.joinpath("ordinary.pth").write_text(f"{packages}\n")
    for command in (base / "bin").iterdir():        # such as hg, which the Tool Shed calls
        if not (venv / "bin" / command.name).exists():
            (venv / "bin" / command.name).symlink_to(command)
    wanted = (packages / "galaxy" / "dependencies" / "conditional-requirements.txt").read_text()
    subprocess.run([venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
                    re.search("^psycopg2-binary.*$", wanted, re.MULTILINE).group()], check=True)
    for name, release in marks.items():
        (venv / name).write_text(release)


# --------------------------------------------------------------------------------------------------------- PostgreSQL

def postgres(name):
    """The path of one of PostgreSQL's programs, which Debian keeps off the PATH; None where it is not installed."""
    return shutil.which(name) or max(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), default=None)


def as_postgres(name, *line, quiet=False):
    """Run one of PostgreSQL's programs, as another user where we are root; returns its exit status."""
    other = {"user": owner(), "group": pwd.getpwnam(owner()).pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    return subprocess.run([postgres(name), *map(str, line)], cwd="/", stdin=subprocess.DEVNULL, check=False,
                          stdout=subprocess.DEVNULL if quiet else sys.stderr, **other).returncode


def owner():
    """The user that PostgreSQL runs as: Debian's own for it, else nobody, if we are root."""
    if os.geteuid():
        return pwd.getpwuid(os.geteuid()).pw_name
    with_postgres = [user.pw_name for user in pwd.getpwall() if user.pw_name == "postgres"]
    return (with_postgres or ["nobody"])[0]


def start_database(home):
    """Start a cluster of its own, reached by a socket alone; returns what stands behind `postgresql://` in its address."""
    folder = home / "database"
    if not (home / "data" / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)       # galaxy_local.py clears Galaxy's data too
    if not folder.exists():
        folder.mkdir(mode=0o700)
        shutil.chown(folder, owner())
        english = ["--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"]   # its own order
        checked(as_postgres("initdb", "--auth=trust", "--username=galaxy", *english, "--no-sync",
                            f"--pgdata={folder}/cluster", quiet=True))
    checked(as_postgres("pg_ctl", "start", f"--pgdata={folder}/cluster", f"--log={folder}/log", "--wait", "--silent",
                        f"--options=-c listen_addresses= -c unix_socket_directories={folder} -c max_connections=300"))
    return f"galaxy@/galaxy?host={folder}"


def checked(status):
    if status:
        raise GalaxyError(f"PostgreSQL failed with status {status}: see above, and database/log (does {owner()} reach the "
                          "folder? if not, name another with --home=DIR)", FAILED)


def stop_database(home):
    if (home / "database" / "cluster" / "postmaster.pid").exists():     # a stale one, pg_ctl removes
        as_postgres("pg_ctl", "stop", f"--pgdata={home}/database/cluster", "--mode=fast", "--wait", "--silent")


# -------------------------------------------------------------------------------------------------------------- nginx

def start_nginx(home, port):
    folder = home / "nginx"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, upstream=port + 1,
                                                    user=pwd.getpwuid(os.geteuid()).pw_name))
    subprocess.run([program("nginx"), "-c", folder / "nginx.conf", "-e", folder / "error.log"], cwd=folder, check=True)


def stop_nginx(home):
    """Stop nginx, unless its number is another process's by now."""
    pid = home / "nginx" / "pid"
    if pid.exists() and pid.read_text().strip() and process_works_in(pid.read_text().strip(), home):
        os.kill(int(pid.read_text()), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(run(main))
